package jsonata

// Use is one plain member of a binding that an expression reads: context.api_key.
type Use struct {
	Name   string // of the member
	Offset int    // of the name in the source
}

// Uses finds where the expression reads the binding called name. whole reports that it may
// read more of the binding than the plain members listed: all of it, or a computed member.
func (x *Expr) Uses(name string) (members []Use, whole bool) {
	tokens := significant(lex(x.Source))
	for i, t := range tokens {
		switch {
		case t.kind == tokenVariable && x.Source[t.start:t.end] == "$$",
			t.kind == tokenString && t.text(x.Source) == name:
			whole = true
		case t.kind != tokenName || t.text(x.Source) != name || isField(x.Source, tokens[:i]):
		case i+2 < len(tokens) && tokens[i+1].is(x.Source, ".") && (tokens[i+2].kind == tokenName || tokens[i+2].kind == tokenString):
			members = append(members, Use{tokens[i+2].text(x.Source), tokens[i+2].start})
		default:
			whole = true
		}
	}
	return members, whole
}

// isField reports whether a name behind the tokens before is a field of some value, and
// not a binding.
func isField(src string, before []token) bool {
	if len(before) < 2 || !before[len(before)-1].is(src, ".") {
		return false
	}
	of := before[len(before)-2]
	root := src[of.start:of.end]
	return root != "$$" && root != "$"
}

// Names are the names and the texts that the expression spells out, as often as it does.
func (x *Expr) Names() []string {
	var names []string
	for _, t := range lex(x.Source) {
		if t.kind == tokenName || t.kind == tokenString {
			names = append(names, t.text(x.Source))
		}
	}
	return names
}

// Tokens cuts a text into what it says, without spaces and comments. Two expressions with
// the same tokens mean the same.
func Tokens(src string) []string {
	var tokens []string
	for _, t := range significant(lex(src)) {
		tokens = append(tokens, src[t.start:t.end])
	}
	return tokens
}
