// Package mappings holds the providers' behaviour as data: one folder a provider.
package mappings

import "embed"

// FS is the folder tree as it was when the program was built.
//
//go:embed */*.yaml
var FS embed.FS
