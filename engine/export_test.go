package engine

// ExpandTemplate parses text and puts value, as a path segment, for every variable.
func ExpandTemplate(text, value string) (string, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	return t.expand(func(string) (string, error) { return encodeSegment(value, nil) })
}
