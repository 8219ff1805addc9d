package jsonata

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// maxBrackets is the deepest nesting of an expression's brackets.
const maxBrackets = 200

var (
	compileError = regexp.MustCompile(`^JSONata error ([A-Z]\d{4})(?: at token "((?s:.*?))")?: `)
	// endsEarly matches the compiler's errors for a text that ends too early.
	endsEarly = regexp.MustCompile(`^JSONata error (S0207|[A-Z]\d{4} at token "(EOF)?":)`)
)

// locate returns the compiler's error about src with its place: the first token that cannot follow
// those before it. compile compiles a prefix.
func locate(src string, err error, compile func(prefix string) error) *SyntaxError {
	code := "S0500"
	if m := compileError.FindStringSubmatch(err.Error()); m != nil {
		code = m[1]
	}
	bad := func(offset int, format string, args ...any) *SyntaxError {
		return &SyntaxError{
			Offset: offset, Code: "E020-bad-expression",
			Message: fmt.Sprintf(format, args...) + " (JSONata " + code + ")",
		}
	}
	tokens := significant(lex(src))
	if len(tokens) == 0 {
		return bad(0, "the expression is empty")
	}
	first := sort.Search(len(tokens), func(i int) bool {
		return tokens[i].kind == tokenUnclosed || broken(compile(prefix(src, tokens[:i+1])))
	})
	if first < len(tokens) {
		t := tokens[first]
		if t.kind == tokenUnclosed {
			return bad(t.start, "%s", unclosedText(src[t.start]))
		}
		return bad(t.start, "%s", refusal(code, shown(src, t)))
	}
	if open, ok := unclosedBracket(src, tokens); ok {
		return bad(open.start, "%q is never closed", src[open.start:open.end])
	}
	last := tokens[len(tokens)-1]
	return bad(last.start, "the expression ends after %s", shown(src, last))
}

// broken reports whether a prefix that compiles to err cannot become an expression.
func broken(err error) bool { return err != nil && !endsEarly.MatchString(err.Error()) }

// prefix returns the text of tokens, at least one. Empty names are replaced, because the compiler
// reports them like the end of the text.
func prefix(src string, tokens []token) string {
	var b strings.Builder
	for _, t := range tokens {
		switch raw := src[t.start:t.end]; raw {
		case `""`, `''`, "``":
			b.WriteString(raw[:1] + "_" + raw[1:])
		default:
			b.WriteString(raw)
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// shown returns a token for a message, shortened if it is long.
func shown(src string, t token) string {
	raw := []rune(src[t.start:t.end])
	if len(raw) > 30 {
		raw = append(raw[:30:30], '…')
	}
	return fmt.Sprintf("%q", string(raw))
}

func unclosedText(opening byte) string {
	switch opening {
	case '`':
		return "the name is never closed with a backtick"
	case '/':
		return "the regular expression or comment is never closed"
	default:
		return fmt.Sprintf("the string is never closed with %c", opening)
	}
}

func refusal(code, token string) string {
	switch code {
	case "S0102":
		return token + " is not a number"
	case "S0103", "S0104":
		return token + " contains an unknown escape"
	case "S0202", "S0203", "S0204":
		return "expected a bracket, comma or colon instead of " + token
	case "S0208":
		return "expected a $parameter instead of " + token
	case "S0209", "S0210":
		return token + " cannot follow a grouping"
	case "S0211":
		return token + " cannot start an operand"
	case "S0212":
		return "the left side of := must be a $variable"
	case "S0214":
		return "expected a $variable instead of " + token
	case "S0215", "S0216":
		return "@ cannot follow a predicate or a sorting"
	case "S0301":
		return "the regular expression is empty"
	case "S0302":
		return token + " is not a regular expression; its flags are i and m"
	default:
		return "unexpected " + token
	}
}

// unclosedBracket returns the innermost bracket that is not closed.
func unclosedBracket(src string, tokens []token) (token, bool) {
	var open []token
	for _, t := range tokens {
		if t.kind != tokenOperator {
			continue
		}
		switch src[t.start] {
		case '(', '[', '{':
			open = append(open, t)
		case ')', ']', '}':
			open = open[:max(len(open)-1, 0)]
		}
	}
	if len(open) == 0 {
		return token{}, false
	}
	return open[len(open)-1], true
}

// checkMeaning reports expressions that the compiler accepts although each evaluation would fail.
func checkMeaning(src string) error {
	depth := 0
	for _, t := range lex(src) {
		raw := src[t.start:t.end]
		switch t.kind {
		case tokenOperator:
			switch raw {
			case "(", "[", "{":
				depth++
			case ")", "]", "}":
				depth--
			}
			if depth > maxBrackets {
				return &SyntaxError{Offset: t.start, Code: "E020-bad-expression", Message: fmt.Sprintf("brackets are nested deeper than %d", maxBrackets)}
			}
		case tokenUnclosed:
			return &SyntaxError{Offset: t.start, Code: "E020-bad-expression", Message: unclosedText(raw[0])}
		case tokenVariable:
			if slices.Contains(refusedFunctions, raw[1:]) {
				return &SyntaxError{Offset: t.start, Code: "E023-refused-function", Message: raw + " is not allowed: a mapping must be deterministic and must not run text as code"}
			}
		default:
		}
	}
	if tree, err := parseTree(src); err == nil {
		if n := rangeAsIndex(src, tree); n != nil {
			return &SyntaxError{Offset: n.start, Code: "E020-bad-expression", Message: "a range cannot be an index: write it in two pairs of brackets, [[0..1]]"}
		}
		if n := patternFromData(src, tree, nil); n != nil {
			return &SyntaxError{Offset: n.start, Code: "E026-regexp-from-data", Message: "a regular expression cannot be made from data: write it between slashes, /^a/"}
		}
	}
	return nil
}

// rangeAsIndex returns a range in a predicate, a[0..1], which is always true; nil if there is
// none. The reference implementation refuses it too.
func rangeAsIndex(src string, n *treeNode) *treeNode {
	if n.kind == treePredicate && n.right.kind == treeOperator && n.right.token.is(src, "..") {
		return n.right
	}
	for _, c := range n.children() {
		if found := rangeAsIndex(src, c); found != nil {
			return found
		}
	}
	return nil
}

// patternFromData returns an argument that cannot be a regular expression although it is in the
// place of one; nil if there is none. piped is what ~> makes the first argument of a call n.
func patternFromData(src string, n, piped *treeNode) *treeNode {
	if n.kind == treeCall && n.left.kind == treeVariable {
		arguments := n.items
		if piped != nil {
			arguments = append([]*treeNode{piped}, arguments...)
		}
		if len(arguments) > 1 {
			switch kind := arguments[1].kind; n.left.token.text(src) {
			case "contains", "split", "replace":
				if kind == treeObject {
					return arguments[1]
				}
			case "match":
				if kind != treeVariable && kind != treeCondition && kind != treeBlock && (kind != treeLiteral || arguments[1].token.kind == tokenString) {
					return arguments[1]
				}
			}
		}
	}
	for _, c := range n.children() {
		var first *treeNode
		if n.kind == treeOperator && n.token.is(src, "~>") && c == n.right {
			first = n.left
		}
		if found := patternFromData(src, c, first); found != nil {
			return found
		}
	}
	return nil
}
