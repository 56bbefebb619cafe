package observe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseCounters reads Envoy's plain text statistics, "name: value" a line, and
// keeps those of the inbound listener's TLS.
func ParseCounters(text string) TLS {
	counters := TLS{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		_, short, ok := strings.Cut(name, "_15006.ssl.")
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			counters[short] = n
		}
	}
	return counters
}

// logLine is an access log line as mesh.AccessLogFields has proxies write it.
// Envoy writes numbers as numbers, and null or "-" for what a request lacks.
type logLine struct {
	Time    any    `json:"time"`
	Peer    string `json:"peer"`
	Serial  string `json:"serial"`
	Ends    any    `json:"ends"`
	TLS     string `json:"tls"`
	Remote  string `json:"remote"`
	Local   string `json:"local"`
	Path    string `json:"path"`
	Agent   string `json:"agent"`
	Code    int    `json:"code"`
	Flags   string `json:"flags"`
	Details string `json:"details"`
}

// ParseAccessLog reads a proxy's log. Lines that are not access log lines, of
// which there are many, are skipped.
func ParseAccessLog(log io.Reader) ([]Request, error) {
	var requests []Request
	lines := bufio.NewScanner(log)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for lines.Scan() {
		var l logLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			continue
		}
		at, ok := seconds(l.Time)
		if !ok {
			continue
		}
		ends, _ := seconds(l.Ends)
		requests = append(requests, Request{
			At: at, Peer: dash(l.Peer), Serial: strings.TrimLeft(dash(l.Serial), "0"), Ends: ends, TLS: dash(l.TLS),
			Remote: dash(l.Remote), Local: dash(l.Local), Path: dash(l.Path), Agent: dash(l.Agent),
			Code: l.Code, Flags: dash(l.Flags), Details: dash(l.Details),
		})
	}
	return requests, lines.Err()
}

func dash(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// seconds reads a time that is given in seconds since 1970, as text or number.
func seconds(v any) (time.Time, bool) {
	var f float64
	switch v := v.(type) {
	case float64:
		f = v
	case string:
		var err error
		if f, err = strconv.ParseFloat(v, 64); err != nil {
			return time.Time{}, false
		}
	default:
		return time.Time{}, false
	}
	// Beyond the year 9999 the file form has no way to write it.
	if !(f >= 0 && f < 253402300800) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(f * 1000)).UTC(), true
}

// ParseProxyCertificates reads what Envoy's /certs lists: the leaf of each chain
// that has a SPIFFE ID, and the roots beside it.
func ParseProxyCertificates(text []byte) ([]ProxyCertificate, error) {
	type listed struct {
		Serial string `json:"serial_number"`
		Names  []struct {
			URI string `json:"uri"`
		} `json:"subject_alt_names"`
		Expires time.Time `json:"expiration_time"`
	}
	var answer struct {
		Certificates []struct {
			Roots []listed `json:"ca_cert"`
			Chain []listed `json:"cert_chain"`
		} `json:"certificates"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("reading the proxy's list of certificates: %w", err)
	}
	var found []ProxyCertificate
	for _, c := range answer.Certificates {
		if len(c.Chain) == 0 || len(c.Chain[0].Names) == 0 {
			continue
		}
		leaf := c.Chain[0]
		p := ProxyCertificate{Serial: strings.TrimLeft(leaf.Serial, "0"), URI: leaf.Names[0].URI, NotAfter: leaf.Expires.UTC()}
		for _, r := range c.Roots {
			p.Roots = append(p.Roots, strings.TrimLeft(r.Serial, "0"))
		}
		if !slices.ContainsFunc(found, func(f ProxyCertificate) bool { return f.Serial == p.Serial }) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b ProxyCertificate) int { return strings.Compare(a.Serial, b.Serial) })
	return found, nil
}

// ParseProxyRoots reads the bundle of roots, by SHA-256, out of what Envoy's
// /config_dump has of the secret ROOTCA.
func ParseProxyRoots(text []byte) ([]string, error) {
	var answer struct {
		Configs []struct {
			Secret struct {
				Validation struct {
					Trusted struct {
						Bytes []byte `json:"inline_bytes"`
					} `json:"trusted_ca"`
				} `json:"validation_context"`
			} `json:"secret"`
		} `json:"configs"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("reading which roots the proxy trusts: %w", err)
	}
	for _, c := range answer.Configs {
		if len(c.Secret.Validation.Trusted.Bytes) > 0 {
			roots, err := parsePEM(c.Secret.Validation.Trusted.Bytes)
			return fingerprints(roots), err
		}
	}
	return nil, errors.New("the proxy has no secret ROOTCA: it does not get its roots from its agent")
}
