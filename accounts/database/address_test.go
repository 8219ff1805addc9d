package database

import (
	"fmt"
	"strings"
	"testing"
)

// TestAddressHidesPassword: the error of a wrong address shows no part of the password.
func TestAddressHidesPassword(t *testing.T) {
	for _, address := range []string{
		"", "db.example.com", "mysql://u:s3cr3t@127.0.0.1:1/x", "host=127.0.0.1 password='s3cr3t", "host=127.0.0.1 port=1 password=s3cr3t",
		"postgres:u:s3cr3t@h/x", "postgres:///u:s3cr3t@h/x", "postgres://u:pa@s3cr3t/et:wo@host/x", "postgres://u:s3cr3t%zz@127.0.0.1:1/x",
		"postgres://u:s3cr3t@127.0.0.1:port/x", "postgres://u:s3cr3t@127.0.0.1:1/x",
		"postgres://u:s3cr3t?@127.0.0.1:1/x", "postgres://u:1#s3cr3t@127.0.0.1:1/x", "postgres://u:1?s3cr3t@127.0.0.1:1/x", "postgres://u:1/s3cr3t@127.0.0.1:1/x",
		"postgres://u:s3cr3t%40%2F%3A@127.0.0.1:1/x",
	} {
		_, err := OpenPostgres(t.Context(), address, options(t))
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "s3cr3t") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestAddressWithAtSign: a password with @ that is not encoded is refused, although it could be understood.
func TestAddressWithAtSign(t *testing.T) {
	for address, refused := range map[string]bool{
		"postgres://u:s3cr3t@x@127.0.0.1:1/x": true, "postgres://u:@s3cr3t@127.0.0.1:1/x": true, "postgres://u:s3cr3t@127.0.0.1:1/x?a=b@c": true,
		"postgres://u:s3cr3t%40x@127.0.0.1:1/x": false, "postgres://127.0.0.1:1/x": false, "postgres://u@127.0.0.1:1/x": false,
	} {
		err := checkAddress(address)
		if (err != nil) != refused || refused && (strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "%40 for @")) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
