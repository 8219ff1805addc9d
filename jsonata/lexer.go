package jsonata

import (
	"encoding/json"
	"fmt"
	"strings"
)

// tokenKind is what a token of JSONata is.
type tokenKind int

const (
	tokenSpace tokenKind = iota
	tokenComment
	tokenName     // also true, false, null, and, or, in, function
	tokenVariable // with its $
	tokenString
	tokenNumber
	tokenRegex
	tokenOperator
	tokenUnclosed // a string, name, regex or comment without its end
)

// token is src[start:end].
type token struct {
	kind       tokenKind
	start, end int
}

// is reports whether the token is the operator op.
func (t token) is(src, op string) bool {
	return t.kind == tokenOperator && src[t.start:t.end] == op
}

// text returns a name without its backticks, a string without its quotes and escapes, a variable
// without its $, and the source of any other token.
func (t token) text(src string) string {
	raw := src[t.start:t.end]
	switch {
	case t.kind == tokenVariable:
		return raw[1:]
	case t.kind == tokenName && raw[0] == '`':
		return raw[1 : len(raw)-1]
	case t.kind == tokenString:
		return unquote(raw)
	default:
		return raw
	}
}

func unquote(raw string) string {
	body := raw[1 : len(raw)-1]
	if !strings.Contains(body, `\`) {
		return body
	}
	var quoted strings.Builder
	quoted.WriteByte('"')
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '\\' && i+1 < len(body) && body[i+1] == '\'':
			quoted.WriteByte('\'')
			i++
		case c == '\\' && i+1 < len(body):
			quoted.WriteString(body[i : i+2])
			i++
		case c == '"':
			quoted.WriteString(`\"`)
		case c < ' ':
			fmt.Fprintf(&quoted, `\u%04x`, c)
		default:
			quoted.WriteByte(c)
		}
	}
	quoted.WriteByte('"')
	var s string
	if json.Unmarshal([]byte(quoted.String()), &s) != nil {
		return body
	}
	return s
}

// lex splits src into tokens, spaces and comments included.
func lex(src string) []token {
	var tokens []token
	operand := true // an operand may follow, so that / starts a regex
	for at := 0; at < len(src); {
		t := token{start: at}
		t.kind, t.end = next(src, at, operand)
		switch text := src[t.start:t.end]; t.kind {
		case tokenSpace, tokenComment:
		case tokenOperator:
			switch text {
			case ")", "]", "}":
				operand = false
			case "*", "**", "%":
				operand = !operand
			default:
				operand = true
			}
		case tokenName:
			operand = !operand && (text == "and" || text == "or" || text == "in")
		default:
			operand = false
		}
		tokens = append(tokens, t)
		at = t.end
	}
	return tokens
}

// significant returns tokens without spaces and comments.
func significant(tokens []token) []token {
	out := make([]token, 0, len(tokens))
	for _, t := range tokens {
		if t.kind != tokenSpace && t.kind != tokenComment {
			out = append(out, t)
		}
	}
	return out
}

const (
	lexSpace = " \t\n\r\v"
	lexFlags = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lexStop  = lexSpace + ".[]{}()," + "@#;:?+-*/%|=<>^&!~"
)

var lexPairs = []string{"..", ":=", "!=", ">=", "<=", "**", "~>", "?:", "??"}

func next(src string, at int, operand bool) (tokenKind, int) {
	rest := src[at:]
	switch c := rest[0]; {
	case strings.IndexByte(lexSpace, c) >= 0:
		return tokenSpace, at + len(rest) - len(strings.TrimLeft(rest, lexSpace))
	case strings.HasPrefix(rest, "/*"):
		if i := strings.Index(rest[2:], "*/"); i >= 0 {
			return tokenComment, at + i + 4
		}
		return tokenUnclosed, len(src)
	case c == '/' && operand:
		return lexRegex(src, at)
	case c == '"' || c == '\'':
		return lexString(src, at)
	case c == '`':
		if i := strings.IndexByte(rest[1:], '`'); i >= 0 {
			return tokenName, at + i + 2
		}
		return tokenUnclosed, len(src)
	case c >= '0' && c <= '9':
		return tokenNumber, lexNumber(src, at)
	case strings.IndexByte(lexStop, c) >= 0:
		for _, pair := range lexPairs {
			if strings.HasPrefix(rest, pair) {
				return tokenOperator, at + 2
			}
		}
		return tokenOperator, at + 1
	}
	end := len(src)
	if i := strings.IndexAny(rest, lexStop); i >= 0 {
		end = at + i
	}
	if rest[0] == '$' {
		return tokenVariable, end
	}
	return tokenName, end
}

func lexString(src string, at int) (tokenKind, int) {
	for i := at + 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case src[at]:
			return tokenString, i + 1
		}
	}
	return tokenUnclosed, len(src)
}

// lexRegex ends at a / outside brackets, like the reference implementation.
func lexRegex(src string, at int) (tokenKind, int) {
	depth := 0
	for i := at + 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '/':
			if depth != 0 {
				continue
			}
			flags := strings.TrimLeft(src[i+1:], lexFlags)
			return tokenRegex, len(src) - len(flags)
		}
	}
	return tokenUnclosed, len(src)
}

func lexNumber(src string, at int) int {
	digits := func(i int) int {
		for i < len(src) && src[i] >= '0' && src[i] <= '9' {
			i++
		}
		return i
	}
	i := at + 1
	if src[at] != '0' {
		i = digits(i)
	}
	if i+1 < len(src) && src[i] == '.' && src[i+1] >= '0' && src[i+1] <= '9' {
		i = digits(i + 1)
	}
	if i < len(src) && (src[i] == 'e' || src[i] == 'E') {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		i = digits(i)
	}
	return i
}
