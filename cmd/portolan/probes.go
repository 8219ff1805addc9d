package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"time"

	"portolan/accounts"
	"portolan/engine"
)

const (
	probesFile    = "probes"
	maxProbesFile = 32 << 20 // bytes; enough for tens of thousands of mappings
)

// probeFile is a file of the data directory. It keeps what probing found, so that the next start
// does not probe the same mappings again. It is sealed with the master keys: nobody else can change
// what it says. A file that is damaged, or of another program, is like none.
type probeFile struct {
	keys *accounts.Keyring // nil: nothing is kept
	path string
	made string // the program and settings that the findings depend on
}

// probeFile returns the file. Without keys or a data directory it is the zero value, which keeps nothing.
func (f storeFlags) probeFile(keys *accounts.Keyring, evalTimeout time.Duration) probeFile {
	if keys == nil || f.DatabaseURL != "" {
		return probeFile{}
	}
	made, err := programSum()
	if err != nil {
		return probeFile{}
	}
	return probeFile{keys, filepath.Join(f.directory(), probesFile), made + " " + evalTimeout.String()}
}

// programSum returns a checksum of this program.
func programSum() (string, error) {
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	program, err := os.Open(name) //nolint:gosec // G304: our own program
	if err != nil {
		return "", err
	}
	defer func() { _ = program.Close() }()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli)) // in hardware: the program is large
	size, err := io.CopyBuffer(sum, struct{ io.Reader }{program}, make([]byte, 256<<10))
	return fmt.Sprintf("%d-%08x", size, sum.Sum32()), err
}

// read returns what the file holds; nil if there is none.
func (f probeFile) read() engine.Probed {
	info, err := os.Lstat(f.path) // reading a pipe could block
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxProbesFile {
		return nil
	}
	sealed, err := os.ReadFile(f.path)
	if err != nil {
		return nil
	}
	text, err := f.keys.Open(f.made, probesFile, string(sealed))
	if err != nil {
		return nil
	}
	var known engine.Probed
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // as in mappings
	if decoder.Decode(&known) != nil {
		return nil
	}
	return known
}

// update replaces the file if the catalog has other mappings than known, what read returned.
func (f probeFile) update(known engine.Probed, catalog *engine.Catalog) error {
	found := engine.Probed{}
	for _, plan := range catalog.Plans() {
		if key := plan.Probed(); key != "" {
			found[key] = *plan.Support()
		}
	}
	same := func(engine.Support, engine.Support) bool { return true }
	if f.keys == nil || maps.EqualFunc(known, found, same) {
		return nil
	}
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	sealed := f.keys.Seal(f.made, probesFile, text)
	if len(sealed) > maxProbesFile {
		return fmt.Errorf("it is larger than %d bytes", maxProbesFile)
	}
	file, err := os.CreateTemp(filepath.Dir(f.path), probesFile+".*")
	if err != nil {
		return err
	}
	_, err = file.WriteString(sealed)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), f.path) // at once, so that a reader never sees a part
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
