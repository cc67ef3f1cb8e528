package secret

// toBeReadable says how a file becomes readable for the agent, and for nobody
// else.
func toBeReadable(string) string {
	return "Keep it in the agent's data directory, whose access list it then takes."
}
