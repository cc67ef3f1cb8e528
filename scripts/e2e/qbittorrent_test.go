package e2e

import (
	"fmt"

	"sallyport/internal/testkit"
)

// qbittorrentConnection is a connection to qBittorrent, as an integrator would
// describe it.
func qbittorrentConnection(q *testkit.App, agentID string) object {
	return object{
		"name": "Plant 2 downloads", "mode": "on-premise", "agentId": agentID,
		"baseUri": fmt.Sprintf("http://127.0.0.1:%d/api/v2", q.Port), "mediaType": "urlencoded",
		"headers": []object{{"name": "X-Company", "value": "{{secret.company}}"}},
		"auth": object{"type": "cookie", "cookie": object{
			"method": "POST", "uri": "/auth/login", "body": "username=admin&password={{secret.password}}"}},
		"ping":    object{"uri": "/app/version"},
		"secrets": object{"password": q.Password, "company": "company-" + q.Password},
	}
}
