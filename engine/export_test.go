package engine

// ExpandTemplate parses text and puts value, as a path segment, for every variable.
func ExpandTemplate(text, value string) (string, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	return t.expand(func(string) (string, error) { return encodeSegment(value) })
}

// Kept is how many plans o keeps.
func Kept(o *Overrides) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.entries)
}
