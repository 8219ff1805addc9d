package schemas

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Names are the names of all schemas, sorted: those of the mapping files ("integration"),
// of the unified methods ("ticketing.users.update.request") and of the bodies of the admin
// API ("admin.api-token.create"). An error means that the embedded files cannot be listed.
func Names() ([]string, error) {
	files, err := sources()
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(files)), nil
}

// Source returns the text of a schema by a name from Names, as it was written.
func Source(name string) ([]byte, error) {
	files, err := sources()
	if err != nil {
		return nil, err
	}
	file, ok := files[name]
	if !ok {
		return nil, fmt.Errorf("no such schema: %s", name)
	}
	if strings.Contains(file, "/") {
		return modelFiles.ReadFile(file)
	}
	return editorFiles.ReadFile(file)
}

// sources are the embedded files by the names of their schemas.
func sources() (map[string]string, error) {
	out := map[string]string{}
	editors, err := fs.Glob(editorFiles, "*.schema.json")
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	for _, file := range editors {
		out[strings.TrimSuffix(file, ".schema.json")] = file
	}
	models, err := fs.Glob(modelFiles, "*/*.json")
	if err != nil {
		return nil, fmt.Errorf("list schemas: %w", err)
	}
	for _, file := range models {
		out[strings.ReplaceAll(strings.TrimSuffix(file, ".json"), "/", ".")] = file
	}
	return out, nil
}
