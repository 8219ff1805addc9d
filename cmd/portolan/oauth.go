package main

import (
	"errors"
	"fmt"
	"strings"

	"portolan/accounts"
	"portolan/gateway"
)

// oauthApps reads the OAuth clients of integrations from the environment. It adds those of the
// sandbox at origin, if that is not "".
func (p *process) oauthApps(b *bundle, origin string) (map[string]gateway.OAuthApp, error) {
	apps := map[string]gateway.OAuthApp{}
	var problems []error
	for _, in := range b.catalog.Integrations() {
		name := in.Name
		prefix := "PORTOLAN_OAUTH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		id, _ := p.lookup(prefix + "_CLIENT_ID")
		secret, _ := p.lookup(prefix + "_CLIENT_SECRET")
		switch {
		case (id != "" || secret != "") && in.OAuth == nil:
			problems = append(problems, fmt.Errorf("%s_CLIENT_ID, %[1]s_CLIENT_SECRET: %s does not use OAuth", prefix, name))
		case (id == "") != (secret == ""):
			problems = append(problems, fmt.Errorf("%s_CLIENT_ID and %[1]s_CLIENT_SECRET must both be set", prefix))
		case id != "":
			apps[name] = gateway.OAuthApp{ClientID: id, ClientSecret: accounts.Secret(secret)}
		}
	}
	if problems != nil {
		return nil, usageError{errors.Join(problems...), nil}
	}
	if origin != "" {
		b.demoApps(origin, apps)
	}
	return apps, nil
}
