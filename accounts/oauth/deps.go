// Package oauth gets, keeps and renews the grants of integrated accounts (OAuth 2.0).
package oauth

import (
	_ "golang.org/x/oauth2"
	_ "golang.org/x/sync/singleflight"
	_ "golang.org/x/time/rate"
)
