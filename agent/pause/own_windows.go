package pause

// own: files of a directory take its access rules on.
func own(string, string) error { return nil }
