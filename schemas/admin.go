package schemas

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed admin/*.json
var adminFiles embed.FS

// Admin returns the schemas of the admin API's request bodies, as plain JSON by
// "<noun>.<verb>": "api-token.create". The caller may modify the result. An error means that
// an embedded file is broken.
func Admin() (map[string]map[string]any, error) {
	files, err := adminFiles.ReadDir("admin")
	if err != nil {
		return nil, fmt.Errorf("list admin schemas: %w", err)
	}
	out := map[string]map[string]any{}
	for _, f := range files {
		source, err := adminFiles.ReadFile("admin/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read admin schema: %w", err)
		}
		if out[strings.TrimSuffix(f.Name(), ".json")], err = decodeObject(source); err != nil {
			return nil, fmt.Errorf("admin/%s: %w", f.Name(), err)
		}
	}
	return out, nil
}
