package main

import (
	"flag"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var updateLicenses = flag.Bool("update-licenses", false, "write licenses.txt")

// notice matches the names of files that a copy of the program must be accompanied by.
var notice = regexp.MustCompile(`(?i)^(.*licen[cs]e.*|copying|copyright|notice|patents)(\.(md|txt))?$`)

// notices returns the text of licenses.txt: for Go and each module in the program, on any system,
// the notices of the module and of the packages that are used. Equal texts are shown once.
func notices(t *testing.T) string {
	t.Helper()
	directories := map[string]string{} // the module by directory
	for _, system := range []string{"linux", "darwin", "windows"} {
		command := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}", ".")
		command.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0", "GOFLAGS=")
		out, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(fields) < 3 {
				continue
			}
			for dir := fields[2]; len(dir) >= len(fields[1]); dir = filepath.Dir(dir) {
				directories[dir] = fields[0]
			}
		}
	}
	goRoot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	directories[strings.TrimSpace(string(goRoot))] = "Go, its standard library and runtime"
	users, found := map[string][]string{}, map[string]bool{}
	for dir, module := range directories {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.IsDir() || !notice.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			trimmed := strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))
			if found[module] = true; !slices.Contains(users[trimmed], module) {
				users[trimmed] = append(users[trimmed], module)
			}
		}
	}
	var parts []string
	for text, modules := range users {
		slices.Sort(modules)
		parts = append(parts, strings.Join(modules, "\n")+"\n\n"+text+"\n")
	}
	for _, module := range directories {
		if !found[module] {
			t.Errorf("%s has no notice", module)
		}
	}
	slices.Sort(parts)
	line := "\n" + strings.Repeat("=", 80) + "\n\n"
	return "Portolan is licensed under the Apache License 2.0. It is built from the following software.\n" + line + strings.Join(parts, line)
}

// The program contains the notices of everything that it is built from.
func TestLicenses(t *testing.T) {
	want := notices(t)
	if *updateLicenses {
		if err := os.WriteFile("licenses.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if licenses != want {
		t.Error("licenses.txt is out of date: run go test ./cmd/portolan -run TestLicenses -update-licenses")
	}
}

// go.mod names the patch release of Go that is used at least, and it is the one that is used.
func TestToolchainFloor(t *testing.T) {
	for _, file := range []string{"../../go.mod", "../../bench/go.mod"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var floor string
		for line := range strings.Lines(string(text)) {
			_, _ = fmt.Sscanf(line, "toolchain %s", &floor)
		}
		if !regexp.MustCompile(`^go1\.\d+\.[1-9]\d*$`).MatchString(floor) || version.Compare(runtime.Version(), floor) < 0 {
			t.Errorf("%s: toolchain %q, and this is %s", file, floor, runtime.Version())
		}
	}
}
