package jsonata

import (
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxRegexpSize is the total size of the regular expressions of one expression, or one
	// override, in instructions of the compiled programs. Compiling them allocates up to 15 MiB.
	MaxRegexpSize = 20_000
	// maxRegexpRunes is how many characters and ranges the regular expressions of one
	// expression may list. The parser visits each of them.
	maxRegexpRunes = 500_000
	// categoryRanges is about how many ranges the largest Unicode categories have.
	categoryRanges = 1_500
	// foldedRunes is the highest character that has another case: the parser visits a
	// case-insensitive range only that far.
	foldedRunes = 0x1e943
	// rangesPerInstruction is how many ranges of a character class cost as much as one
	// instruction. Repeated classes share their ranges.
	rangesPerInstruction = 16
)

// RegexpSize returns the approximate total size of x's regular expressions, in instructions of
// the compiled programs.
func (x *Expr) RegexpSize() int { return x.regexps }

// CheckRegexp parses pattern, a regular expression outside an expression, without compiling it.
// The error is a *SyntaxError, with a message to follow "pattern", if pattern exceeds a limit, and
// the parser's if it is malformed.
func CheckRegexp(pattern string) error {
	if listedRunes(pattern) > maxRegexpRunes {
		return &SyntaxError{Code: "E025-costly-regexp", Message: fmt.Sprintf("lists more than %d characters and ranges", maxRegexpRunes)}
	}
	size, err := regexpSize(pattern)
	if err != nil {
		return err
	}
	if size > MaxRegexpSize {
		return &SyntaxError{Code: "E025-costly-regexp", Message: fmt.Sprintf("compiles to about %d instructions; the limit is %d", size, MaxRegexpSize)}
	}
	return nil
}

// checkRegexps parses the regular expressions of src without compiling them, and returns their
// total size in instructions. The error is a *SyntaxError at the first one that is malformed or
// exceeds a limit.
func checkRegexps(src string) (size int, err error) {
	var literals []token
	runes := 0
	for _, t := range lex(src) {
		if t.kind != tokenRegex {
			continue
		}
		literals = append(literals, t)
		if runes += listedRunes(src[t.start:t.end]); runes > maxRegexpRunes {
			return 0, costlyRegexp(src, t, "lists about %d characters and ranges", runes, len(literals), maxRegexpRunes)
		}
	}
	for i, t := range literals {
		own, err := regexpSize(regexpPattern(src[t.start:t.end]))
		if err != nil {
			return 0, &SyntaxError{Offset: t.start, Code: "E020-bad-expression", Message: "the regular expression is not valid in RE2: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
		}
		if size += own; size > MaxRegexpSize {
			return 0, costlyRegexp(src, t, "compiles to about %d instructions", size, i+1, MaxRegexpSize)
		}
	}
	return size, nil
}

// costlyRegexp is the error for t, the regular expression with that number, counted from 1. got
// is the cost of it and those before it.
func costlyRegexp(src string, t token, costs string, got, number, limit int) *SyntaxError {
	together := ""
	if number > 1 {
		together = fmt.Sprintf(", together with the %d before it", number-1)
	}
	return &SyntaxError{
		Offset: t.start, Code: "E025-costly-regexp",
		Message: "the regular expression " + shown(src, t) + " " + fmt.Sprintf(costs, got) + together + fmt.Sprintf("; the limit is %d", limit),
	}
}

// regexpPattern returns a literal as a pattern, with its flags i and m in front.
func regexpPattern(literal string) string {
	end := strings.LastIndexByte(literal, '/')
	if flags := literal[end+1:]; flags != "" {
		return "(?" + flags + ")" + literal[1:end]
	}
	return literal[1:end]
}

// regexpSize parses pattern and estimates the number of instructions that it compiles to.
func regexpSize(pattern string) (int, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	return instructions(re), nil
}

// instructions returns an upper bound of the instructions that re compiles to, at least 1. It
// cannot overflow: the parser refuses nested repeats whose product is over 1000.
func instructions(re *syntax.Regexp) int {
	size := 0
	for _, sub := range re.Sub {
		size += instructions(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		size = len(re.Rune)
	case syntax.OpCharClass:
		size = 1 + len(re.Rune)/2/rangesPerInstruction
	case syntax.OpCapture:
		size += 2
	case syntax.OpStar:
		size += 2 // if the empty text matches, it is compiled as (x+)?
	case syntax.OpPlus, syntax.OpQuest:
		size++
	case syntax.OpAlternate:
		size += len(re.Sub)
	case syntax.OpRepeat:
		if re.Min != re.Max {
			size += 2 // each may be optional, the last one may be a star
		}
		size *= max(re.Min, re.Max, 1)
	default:
	}
	return max(size, 1)
}

// listedRunes estimates how many ranges and characters the parser of a regular expression visits:
// the ranges of Unicode categories, and the characters of ranges whose letters match in both
// cases. A range beyond ASCII is recognized by its end, a character or an escape.
func listedRunes(literal string) int {
	runes := 0
	for i := 0; i+1 < len(literal); i++ {
		switch rest := literal[i+1:]; {
		case literal[i] == '\\' && (rest[0] == 'p' || rest[0] == 'P'):
			runes += categoryRanges
		case literal[i] == '-' && rest[0] >= utf8.RuneSelf:
			r, _ := utf8.DecodeRuneInString(rest)
			runes += min(int(r), foldedRunes)
		case literal[i] == '-' && rest[0] == '\\':
			runes += escapedRune(rest[1:])
		}
	}
	return runes
}

// escapedRune returns the character of an escape \x{HEX}, \xHH or \OOO without its backslash, at
// most foldedRunes; 0 for any other escape.
func escapedRune(escape string) int {
	hex, ok := strings.CutPrefix(escape, "x")
	switch {
	case ok && strings.HasPrefix(hex, "{"):
		digits, _, _ := strings.Cut(hex[1:], "}")
		if r, err := strconv.ParseUint(digits, 16, 32); err == nil {
			return int(min(r, foldedRunes))
		}
		return foldedRunes
	case ok:
		return 0xff
	case escape != "" && escape[0] >= '0' && escape[0] <= '7':
		return 0o777
	default:
		return 0
	}
}
