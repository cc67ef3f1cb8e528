package proto

// CloseSuperseded is the code of the websocket's close message with which a relay
// ends a tunnel whose place another run of the agent has taken, at this machine
// or at one that has a copy of its identity. The text names where that runs. All
// other tunnels are closed with code 1001, and the text says why.
const CloseSuperseded = 4001
