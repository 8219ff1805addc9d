package accounts

import "portolan/source"

const fileFormat = "portolan/accounts/v1"

// Options are the options of LoadFile.
type Options struct {
	AllowInsecureUpstreams bool // allow base_url
}

// File is the content of an accounts file.
type File struct {
	Tokens   []StoredToken
	Accounts []FileAccount
	Literal  bool // a token stands in the file itself, not in a variable
}

// FileAccount is an Account with its places in the file, for later checks.
type FileAccount struct {
	Account
	Literal []string // the names of Context whose texts stand in the file itself, not in variables
	places  map[string]source.Pos
}

// At returns the place of the value of key: "integration", "context" or "context.api_key".
// For "" and for a key that is absent it returns the account's place.
func (a FileAccount) At(key string) source.Pos {
	if p, ok := a.places[key]; ok {
		return p
	}
	return a.places[""]
}

// LoadFile reads an accounts file. name appears in places only. lookup returns the value of
// a variable and whether it is set; "${NAME}" is expanded in tokens and in the strings of a
// context, once. The result is nil if there are diagnostics. They are errors, sorted, and
// never hold a value of the file or of a variable, only names and account ids.
func LoadFile(name string, src []byte, lookup func(string) (string, bool), opts Options) (*File, source.Diagnostics) {
	var found source.Diagnostics
	l := loader{
		Reader: source.Reader{Diags: &found, HideValues: true},
		lookup: lookup, opts: opts, ids: map[string]int{}, hashes: map[Hash]int{},
	}
	if root := source.ParseYAML(name, src, &found); root != nil && l.CheckFormat(root, fileFormat) {
		l.root(root)
	}
	if found.Failed() {
		return nil, found.Sorted()
	}
	return &l.file, nil
}

type loader struct {
	source.Reader
	lookup func(string) (string, bool)
	opts   Options
	file   File
	ids    map[string]int // line of the first account with this id
	hashes map[Hash]int   // line of the first token with this secret
}

func (l *loader) root(n *source.Node) {
	l.Object(n, source.Fields{
		"format":   func(*source.Node) {},
		"tokens":   func(n *source.Node) { l.Items(n, l.token) },
		"accounts": func(n *source.Node) { l.Items(n, l.account) },
	})
}

func (l *loader) token(n *source.Node) {
	if !l.Is(n, source.Object) {
		return
	}
	t := StoredToken{Token: Token{Environment: DefaultEnvironment}}
	known := false // the hash
	l.Object(n, source.Fields{
		"name":        func(n *source.Node) { t.Name = l.text(n) },
		"environment": func(n *source.Node) { t.Environment = l.text(n) },
		"token": func(n *source.Node) {
			l.file.Literal = l.file.Literal || !variable.MatchString(n.Text)
			t.Hash, known = l.secret(n.Pos, l.text(n))
		},
		"sha256": func(n *source.Node) { t.Hash, known = l.hash(n.Pos, l.text(n)) },
	}, "name")
	switch secret, hash := n.Get("token"), n.Get("sha256"); {
	case secret == nil && hash == nil:
		l.Diags.Errorf(n.Pos, "E005-missing-key", `key "token" or "sha256" is missing`)
	case secret != nil && hash != nil:
		l.Diags.Errorf(hash.Pos, "E006-bad-value", `"token" and "sha256" exclude each other`)
		l.Diags.Hintf("keep one of them")
	case known:
		if first, twice := l.hashes[t.Hash]; twice {
			l.Diags.Errorf(n.Pos, "E082-duplicate-token", "the same token occurs twice")
			l.Diags.Hintf("first at line %d", first)
			return
		}
		l.hashes[t.Hash] = n.Pos.Line
		l.file.Tokens = append(l.file.Tokens, t)
	}
}

func (l *loader) account(n *source.Node) {
	a := FileAccount{Account: Account{Environment: DefaultEnvironment, Context: Context{}}, places: map[string]source.Pos{"": n.Pos}}
	at := func(key string, read func(*source.Node)) func(*source.Node) {
		return func(n *source.Node) {
			a.places[key] = n.Pos
			read(n)
		}
	}
	l.Object(n, source.Fields{
		"id":          at("id", func(n *source.Node) { a.ID = l.id(n.Pos, l.text(n)) }),
		"integration": at("integration", func(n *source.Node) { a.Integration = l.text(n) }),
		"environment": at("environment", func(n *source.Node) { a.Environment = l.text(n) }),
		"base_url":    at("base_url", func(n *source.Node) { a.BaseURL = l.baseURL(n.Pos, l.text(n)) }),
		"context": at("context", func(n *source.Node) {
			for _, e := range n.Entries {
				if e.Value.Type == "string" && !variable.MatchString(e.Value.Text) {
					a.Literal = append(a.Literal, e.Name)
				}
			}
			l.expandAll(n)
			l.Members(n, func(e source.Entry) {
				a.places["context."+e.Name] = e.Value.Pos
				a.Context[e.Name] = l.JSON(e.Value)
			})
		}),
	}, "id", "integration")
	l.file.Accounts = append(l.file.Accounts, a)
}

// text returns n's source text, even if YAML reads it as a number. It refuses "".
func (l *loader) text(n *source.Node) string {
	if n.Type == "string" && n.Text == "" {
		l.Diags.Errorf(n.Pos, "E004-wrong-type", "want text, got nothing")
		return ""
	}
	return l.String(n)
}

// expandAll expands the variables of every text in n, in place.
func (l *loader) expandAll(n *source.Node) {
	for _, e := range n.Entries {
		l.expandAll(e.Value)
	}
	for _, item := range n.Items {
		l.expandAll(item)
	}
	if n.Type == "string" {
		n.Text, _ = l.expand(n.Pos, n.Text)
	}
}
