package observe

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Duration is a time.Duration that reads well in a file.
type Duration time.Duration

// MarshalText writes it as in "2s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// Write keeps an observation in a file, which appears whole or not at all. Equal
// observations give equal files.
func Write(path string, o Observation) error {
	content, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return fmt.Errorf("encoding the observation: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("keeping the observation: %w", err)
	}
	unfinished := path + ".unfinished"
	if err := os.WriteFile(unfinished, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("keeping the observation: %w", err)
	}
	return os.Rename(unfinished, path)
}

// Read takes an observation from a file.
func Read(path string) (Observation, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Observation{}, fmt.Errorf("reading an observation: %w", err)
	}
	o, err := Decode(content)
	if err != nil {
		return Observation{}, fmt.Errorf("reading the observation %s: %w", path, err)
	}
	return o, nil
}

// Decode reads the file form. Text of another version is refused: half understood
// it could pass for a good subject.
func Decode(content []byte) (Observation, error) {
	var o Observation
	if err := json.Unmarshal(content, &o); err != nil {
		return Observation{}, fmt.Errorf("it is not an observation: %w", err)
	}
	if o.FormatVersion != FormatVersion {
		return Observation{}, fmt.Errorf("it has format version %d, this suite reads version %d", o.FormatVersion, FormatVersion)
	}
	return o, nil
}
