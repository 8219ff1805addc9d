package jsonata

import (
	"fmt"
	"strings"
	"testing"
)

// What an expression reads of a binding decides which values are masked: whatever takes the
// root, which holds all bindings, counts as reading all of it.
func TestUses(t *testing.T) {
	l := testLanguage(Limits{})
	for _, tt := range []struct{ src, want string }{
		{`body.x`, ``},
		{`context.key`, `key@8`},
		{"context.`key`", `key@8`},
		{`context."key"`, `key@8`},
		{`"context".key`, `key@10`},
		{`$$."context".key`, `key@13`},
		{`$.context.key & $$.context.key`, `key@10 key@27`},
		{`context.key[0].x`, `key@8`},
		{`context.a.b & context.c[context.d = 1]`, `a@8 c@22`},
		{`$map(body.x, function($v) { $v & context.key })`, `key@41`},
		{`$exists(context.key) ? context.other`, `key@16 other@31`},
		{`body.x.context.key`, ``},
		{`body.x.{ "a": context.key, "b": $.context.key, "c": $$.context.key }`, `key@63`},
		{`body.x[context.key = 1].(context)`, ``},
		{`body.x ~> |$|{ "context": context.key }|`, ``},
		{`{ "context": "context" }`, ``},
		{`body.x.*`, ``},
		{`($.body ~> $string()) & $string(body)`, ``},
		{`$each(body, function($v) { $v })`, ``},
		{`$$.body.x`, ``},

		{`context`, `all`},
		{`$$.context`, `all`},
		{`$$."context"`, `all`},
		{`$lookup(context, "key")`, `all`},
		{`$lookup($$, "con" & "text").key`, `all`},
		{`(context).key`, `all`},
		{`context.(key)`, `all`},
		{`context.*`, `all`},
		{`context[key = "s"].key`, `all`},
		{`context@$c.($c.key)`, `all`},
		{`$$@$c.body.($c.context.key)`, `all`},
		{`$string($)`, `all`},
		{`$string()`, `all`},
		{`$sift(function($v) { true })`, `all`},
		{`$lookup("context")`, `all`},
		{`$spread()`, `all`},
		{`*.key`, `all`},
		{`**.key`, `all`},
		{`body.%.context.key`, `all`},
		{`( $c := context; $c.key )`, `all`},
		{`context.key & $string(context)`, `key@8 all`},
	} {
		x, err := l.Compile(tt.src)
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		members, whole := x.Uses("context")
		var got []string
		for _, m := range members {
			got = append(got, fmt.Sprintf("%s@%d", m.Name, m.Offset))
		}
		if whole {
			got = append(got, "all")
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s reads %q, want %q", tt.src, got, tt.want)
		}
	}
}
