package schemas_test

import (
	"bytes"
	"slices"
	"testing"

	"portolan/schemas"
)

func TestNames(t *testing.T) {
	names, err := schemas.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"integration", "mapping", "sandbox", "ticketing.users.update.request", "admin.api-token.create"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	for _, name := range names {
		source, err := schemas.Source(name)
		if err != nil || !bytes.Contains(source, []byte(`"$schema"`)) {
			t.Errorf("%s: %d bytes that are not a schema, %v", name, len(source), err)
		}
	}
	for _, name := range []string{"", "nothere", "../go", "ticketing/users.update.request"} {
		if source, err := schemas.Source(name); err == nil {
			t.Errorf("%q: got %d bytes", name, len(source))
		}
	}
}
