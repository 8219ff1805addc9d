package server

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"portolan/gateway"
)

// maxLogoBytes limits the image of a logo.
const maxLogoBytes = 64 << 10

// logoTypes are the types of images that cannot hold scripts.
func logoTypes() []string { return []string{"image/png", "image/jpeg", "image/gif", "image/webp"} }

// origin matches an origin as browsers write it, which a header can name.
var origin = regexp.MustCompile(`^(https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?|http://(localhost|127\.0\.0\.1|\[::1\]))(:[0-9]{1,5})?$`)

// checkAppearance checks what an environment shows on link pages. It is hostile input: it ends up in
// pages and in headers.
func (a *adminCall) checkAppearance() {
	if logo := a.text("logo"); logo != "" {
		if reason := logoProblem(logo); reason != "" {
			a.failf("/logo", gateway.CodeFormat, "logo %s", reason)
		}
	}
	for _, given := range a.texts("allowed_origins") {
		if !origin.MatchString(given) {
			a.failf("/allowed_origins", gateway.CodeFormat, "allowed_origins must be origins such as https://app.example.com, without a path; http on localhost only")
			return
		}
	}
}

// logoProblem returns what is wrong with a logo; "" if nothing is.
func logoProblem(uri string) string {
	kind, encoded, ok := strings.Cut(strings.TrimPrefix(uri, "data:"), ";base64,")
	image, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case !strings.HasPrefix(uri, "data:") || !ok || err != nil || bytes.ContainsAny([]byte(encoded), "\r\n") || !slices.Contains(logoTypes(), kind):
		return "must be a data URI of a PNG, JPEG, GIF or WebP image, in base64"
	case len(image) > maxLogoBytes:
		return "is an image of more than 64 KiB"
	case http.DetectContentType(image) != kind:
		return "is not an image of the type that it names"
	}
	return ""
}
