package reports

import (
	"bytes"
	"iter"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

const (
	// shortestPacked is the length of base64 that is unpacked, in characters: a shorter
	// one has no room for a key or a token.
	shortestPacked = 40
	// wrappedLine is from how many characters on a line may go on in the next one; PEM
	// has 64 and MIME 76.
	wrappedLine = 60
)

// inBase64 has the letters of both alphabets of base64.
var inBase64 = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_") {
		is[c] = true
	}
	return is
}()

// packedTexts are the runs of a text that may be base64, without padding, in the letters
// of the standard alphabet, and whole where they are wrapped into lines.
func packedTexts(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := 0; i < len(text); {
			if !inBase64[text[i]] {
				i++
				continue
			}
			var run []byte
			run, i = packedAt(text, i)
			if len(run) >= shortestPacked && !yield(run) {
				return
			}
		}
	}
}

// packedAt is the run that begins at a place, and where it ends.
func packedAt(text []byte, from int) (run []byte, end int) {
	for {
		end = from
		for end < len(text) && inBase64[text[end]] {
			end++
		}
		run = append(run, text[from:end]...)
		next := end
		for next < len(text) && bytes.IndexByte([]byte(" \t\r\n"), text[next]) >= 0 {
			next++
		}
		if end-from < wrappedLine || next == len(text) || !inBase64[text[next]] || bytes.IndexByte(text[end:next], '\n') < 0 {
			break
		}
		from = next
	}
	for i, c := range run {
		switch c {
		case '-':
			run[i] = '+'
		case '_':
			run[i] = '/'
		}
	}
	return run, end
}

// quotedTexts are the strings of a text, as JSON and logs have them, that escapes are in:
// all else is searched as a part of the text itself.
func quotedTexts(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := 0; i < len(text); i++ {
			if text[i] != '"' {
				continue
			}
			end := stringEnd(text, i)
			if content := text[i+1 : end]; len(content) >= shortestPacked && bytes.IndexByte(content, '\\') >= 0 && !yield(content) {
				return
			}
			i = end
		}
	}
}

// stringEnd is where the string ends that begins at a place: at its quote, or where the
// line or the text does, since no string of JSON goes on behind that and a stray quote is
// to be forgotten there.
func stringEnd(text []byte, from int) int {
	for i := from + 1; i < len(text); i++ {
		switch text[i] {
		case '"', '\n':
			return i
		case '\\':
			i++
		}
	}
	return len(text)
}

var (
	kindSecretJSON = regexp.MustCompile(`"kind"\s*:\s*"Secret"`)
	filledJSON     = regexp.MustCompile(`^\s*\{\s*"[^"]*"\s*:\s*"[^"]`)
	documentsYAML  = regexp.MustCompile(`(?m)^---`)
	kindSecretYAML = regexp.MustCompile(`(?m)^[ -]*kind: *["']?Secret["']? *\r?$`)
	filledYAML     = regexp.MustCompile(`(?m)^[ -]*(?:data|stringData): *\r?\n +[^\s:]+: *\S`)
)

// secretInJSON reports whether a text has an object of JSON that is a Secret with data,
// whatever stands around it: a log may have half an object or several on a line.
func secretInJSON(text []byte) bool {
	if !kindSecretJSON.Match(text) {
		return false
	}
	type object struct{ secret, filled bool }
	stack := []object{{}}
	for i := 0; i < len(text); i++ {
		top := &stack[len(stack)-1]
		switch text[i] {
		case '{':
			stack = append(stack, object{})
		case '}':
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
		case '"':
			end := stringEnd(text, i)
			name := string(text[i+1 : end])
			i = end
			value, ok := bytes.CutPrefix(bytes.TrimLeft(text[min(i+1, len(text)):], " \t\r\n"), []byte(":"))
			if !ok {
				continue
			}
			switch value = bytes.TrimLeft(value, " \t\r\n"); name {
			case "kind":
				top.secret = top.secret || bytes.HasPrefix(value, []byte(`"Secret"`))
			case "data", "stringData":
				top.filled = top.filled || filledJSON.Match(value)
			}
			if top.secret && top.filled {
				return true
			}
		}
	}
	return false
}

// secretInYAML reports whether a text has a mapping of YAML that is a Secret with data,
// or, where it is no YAML as a whole, lines that look like one.
func secretInYAML(text []byte) bool {
	for _, document := range documentsYAML.Split(string(text), -1) {
		if !kindSecretYAML.MatchString(document) {
			continue
		}
		var v any
		if err := yaml.Unmarshal([]byte(document), &v); err != nil {
			if filledYAML.MatchString(document) {
				return true
			}
			continue
		}
		if holdsSecret(v) {
			return true
		}
	}
	return false
}

// holdsSecret reports whether something, or something in it, is a Secret with data.
func holdsSecret(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		if v["kind"] == "Secret" && (filled(v["data"]) || filled(v["stringData"])) {
			return true
		}
		for _, inner := range v {
			if holdsSecret(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, holdsSecret)
	}
	return false
}

// filled reports whether the data of a Secret has a value.
func filled(data any) bool {
	values, _ := data.(map[string]any)
	for _, v := range values {
		if v != nil && v != "" {
			return true
		}
	}
	return false
}
