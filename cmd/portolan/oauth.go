package main

import (
	"errors"
	"fmt"
	"strings"

	"portolan/accounts"
	"portolan/gateway"
)

// oauthApps reads from the environment the clients that are registered at providers, and
// gives each of the pretend providers at origin, where set, its own.
func (p *process) oauthApps(w *world, origin string) (map[string]gateway.OAuthApp, error) {
	apps := map[string]gateway.OAuthApp{}
	var problems []error
	for _, in := range w.catalog.Integrations() {
		name := in.Name
		prefix := "PORTOLAN_OAUTH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		id, _ := p.lookup(prefix + "_CLIENT_ID")
		secret, _ := p.lookup(prefix + "_CLIENT_SECRET")
		switch {
		case (id != "" || secret != "") && in.OAuth == nil:
			problems = append(problems, fmt.Errorf("%s_CLIENT_ID, %[1]s_CLIENT_SECRET: %s does not connect by OAuth", prefix, name))
		case (id == "") != (secret == ""):
			problems = append(problems, fmt.Errorf("%s_CLIENT_ID and %[1]s_CLIENT_SECRET belong together, and one of them is not set", prefix))
		case id != "":
			apps[name] = gateway.OAuthApp{ClientID: id, ClientSecret: accounts.Secret(secret)}
		}
	}
	if problems != nil {
		return nil, usageError{errors.Join(problems...), nil}
	}
	if origin != "" {
		w.demoApps(origin, apps)
	}
	return apps, nil
}
