package secret

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sallyport/agent/private"
	"sallyport/proto"
)

// signedIn is a token to read with. unwanted is one that Vault no longer takes.
func (a *asking) signedIn(ctx context.Context, unwanted string) (string, *proto.Error) {
	if a.TokenFile != "" {
		token, err := private.Read(a.TokenFile, maxValue)
		if err != nil {
			return "", a.noSignIn(err, fmt.Sprintf("the file of its token can't be used: %v", err), "Correct tokenFile in agent.yaml, or the file: the agent's user has to own it (mode 0600).")
		}
		return strings.TrimSpace(token), nil
	}
	a.signingIn.Lock()
	defer a.signingIn.Unlock()
	if a.token != "" && a.token != unwanted && a.now().Before(a.until) {
		return a.token, nil
	}
	secretID, err := private.Read(a.SecretIDFile, maxValue)
	if err != nil {
		return "", a.noSignIn(err, fmt.Sprintf("the file of the AppRole's secret id can't be used: %v", err), "Correct secretIdFile in agent.yaml, or the file: the agent's user has to own it (mode 0600).")
	}
	return a.appRole(ctx, strings.TrimSpace(secretID))
}

// appRole signs in by AppRole; signingIn is held.
func (a *asking) appRole(ctx context.Context, secretID string) (string, *proto.Error) {
	path := "/v1/auth/" + strings.Trim(cmp.Or(a.AppRoleMount, "approle"), "/") + "/login"
	answer, err := a.call(ctx, http.MethodPost, path, "", map[string]string{"role_id": a.RoleID, "secret_id": secretID})
	switch {
	case err != nil:
		return "", err
	case answer.status == http.StatusServiceUnavailable:
		return "", a.refused(answer)
	case answer.status != http.StatusOK:
		return "", a.noSignIn(nil, fmt.Sprintf("Vault refused the AppRole (status %d)", answer.status), "Check roleId and the file of the secret id, which may have expired or been used up.")
	}
	var content struct {
		Auth struct {
			ClientToken   string `json:"client_token"`
			LeaseDuration int64  `json:"lease_duration"` // seconds; 0: for ever
		} `json:"auth"`
	}
	if jsonErr := json.Unmarshal(answer.body, &content); jsonErr != nil || content.Auth.ClientToken == "" {
		return "", a.noSignIn(nil, "Vault answered the AppRole's sign-in without a token", "Check address in agent.yaml.")
	}
	lease := time.Duration(content.Auth.LeaseDuration) * time.Second
	if lease <= 0 {
		lease = time.Hour
	}
	a.token, a.until = content.Auth.ClientToken, a.now().Add(lease*4/5)
	return a.token, nil
}

// refused is what an answer means that holds no secret.
func (a *asking) refused(answer vaultAnswer) *proto.Error {
	var said struct {
		Errors []string `json:"errors"`
		Data   *struct {
			Metadata struct {
				DeletionTime string `json:"deletion_time"`
				Destroyed    bool   `json:"destroyed"`
			} `json:"metadata"`
		} `json:"data"`
	}
	_ = json.Unmarshal(answer.body, &said) // what is no JSON says nothing more
	switch answer.status {
	case http.StatusServiceUnavailable:
		if strings.Contains(strings.Join(said.Errors, " "), "sealed") {
			return a.error(proto.ReasonVaultSealed, nil, "Vault is sealed", "Unseal Vault; the next request then works by itself.")
		}
		return a.error(proto.ReasonVaultUnreachable, nil, "Vault is not ready (status 503)", "Look into Vault's own log.")
	case http.StatusForbidden:
		return a.error(proto.ReasonVaultForbidden, nil, "Vault does not allow the agent to read it",
			fmt.Sprintf("Renew the agent's token, if it has expired, and give it a policy with: path %q { capabilities = [\"read\"] }.",
				strings.Trim(cmp.Or(a.path.Mount, "secret"), "/")+"/data/"+strings.Trim(a.path.Path, "/")))
	case http.StatusNotFound:
		if said.Data != nil && (said.Data.Metadata.Destroyed || said.Data.Metadata.DeletionTime != "") {
			return a.notFound("its latest version in Vault has been deleted", "Write it anew in Vault, or undelete the version.")
		}
		return a.notFound("Vault has nothing there", "Correct mount: and path: in agent.yaml (without data/ in between); the engine has to be a key-value one of version 2.")
	}
	return a.failed(fmt.Sprintf("answered with status %d", answer.status))
}

func (a *asking) error(reason proto.Reason, err error, what, hint string) *proto.Error {
	return unavailable(a.name, reason, err,
		fmt.Sprintf("The secret %q can't be read from Vault (%s): %s.", a.name, a.path, what), hint,
		"host", a.base.Host, "path", a.path.Path, "field", cmp.Or(a.path.Field, "value"))
}

func (a *asking) notFound(what, hint string) *proto.Error {
	return a.error(proto.ReasonVaultNotFound, nil, what, hint)
}

func (a *asking) failed(what string) *proto.Error {
	return a.error(proto.ReasonVaultFailed, nil, "it "+what, "Check address in agent.yaml, and look into Vault's own log.")
}

func (a *asking) noSignIn(err error, what, hint string) *proto.Error {
	return a.error(proto.ReasonVaultSignIn, err, what, hint)
}

// unreachable is for a call that got no answer.
func (a *asking) unreachable(err error) *proto.Error {
	return a.error(proto.ReasonVaultUnreachable, err, fmt.Sprintf("%s can't be reached: %v", a.base.Host, cause(err)),
		"Check address and caFile in agent.yaml, and that Vault is running.")
}

// cause is the innermost error, without the URL that stands around it.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
