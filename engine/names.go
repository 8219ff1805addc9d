package engine

// finding is one name that an expression cannot use.
type finding struct {
	offset        int
	code          string
	message, hint string
}

func (l *Language) checkNames(src string, bindings []string) []finding {
	return nil
}
