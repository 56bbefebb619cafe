package observe

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// What a file is for.
const (
	RoleCA   = "ca"
	RoleCert = "cert"
	RoleKey  = "key"
)

// NamedFiles lists the files that the selected monitors and the scrape classes
// name, each once, in the order in which they are named.
func NamedFiles(o Observation) []File {
	var files []File
	add := func(path, role string) {
		if path != "" && !slices.ContainsFunc(files, func(f File) bool { return f.Path == path }) {
			files = append(files, File{Path: path, Role: role})
		}
	}
	addAll := func(t monitoringv1.TLSFilesConfig) {
		add(t.CAFile, RoleCA)
		add(t.CertFile, RoleCert)
		add(t.KeyFile, RoleKey)
	}
	for _, m := range SelectedMonitors(o) {
		for _, e := range m.Spec.Endpoints {
			if e.TLSConfig != nil {
				addAll(e.TLSConfig.TLSFilesConfig)
			}
		}
	}
	if o.Prometheus != nil {
		for _, c := range o.Prometheus.Spec.ScrapeClasses {
			if c.TLSConfig != nil {
				addAll(c.TLSConfig.TLSFilesConfig)
			}
		}
	}
	return files
}

// readFiles looks at the named files in the container that has to read them, and
// at the pod's sockets, in four calls however many files there are. Keys are
// opened but nothing of them is read, also where one is named as a certificate.
func (o *Observer) readFiles(ctx context.Context, pod string, files []File) (seen []File, contents map[string]string, err error) {
	var paths, keys []string
	for _, f := range files {
		if f.Role == RoleKey {
			keys = append(keys, f.Path)
		} else {
			paths = append(paths, f.Path)
		}
	}
	labels := ""
	if len(paths) > 0 {
		if labels, _, err = o.execAll(ctx, pod, append([]string{"grep", "-H", "-o", "-e", "-----BEGIN [A-Z ]*-----"}, paths...)...); err != nil {
			return files, nil, err
		}
	}
	secret := keysAmong(labels)
	paths = slices.DeleteFunc(paths, func(p string) bool { return secret[p] != "" })
	// head prints each file under its name, says which it cannot open, and goes on.
	read, complaints, err := o.execAll(ctx, pod, append([]string{"head", "-c", "1000000"}, append(paths, socketTables...)...)...)
	if err != nil {
		return files, nil, err
	}
	contents = splitHeads(read)
	keyComplaints := ""
	if len(keys) > 0 {
		if _, keyComplaints, err = o.execAll(ctx, pod, append([]string{"head", "-c", "0"}, keys...)...); err != nil {
			return files, contents, err
		}
	}
	status := ""
	if len(files) > 0 {
		names := []string{"stat", "-c", "%n %a %u:%g %s"}
		for _, f := range files {
			names = append(names, f.Path)
		}
		if status, _, err = o.execAll(ctx, pod, names...); err != nil {
			return files, contents, err
		}
	}
	for _, f := range files {
		seen = append(seen, f.describe(contents[f.Path], complaints+"\n"+keyComplaints, status))
		if kind := secret[f.Path]; kind != "" && f.Role != RoleKey {
			seen[len(seen)-1].ParseError = fmt.Sprintf("holds a %s where a certificate is expected", kind)
		}
	}
	return seen, contents, nil
}

var pemLabel = regexp.MustCompile(`(?m)^(.*):-----BEGIN ([A-Z ]*PRIVATE KEY)-----$`)

// keysAmong finds the files that hold a private key, and which kind of one, in what
// grep prints of the labels in them.
func keysAmong(labels string) map[string]string {
	kinds := map[string]string{}
	for _, m := range pemLabel.FindAllStringSubmatch(labels, -1) {
		kinds[m[1]] = m[2]
	}
	return kinds
}

// describe fills in what was seen of a file.
func (f File) describe(content, complaints, status string) File {
	for line := range strings.Lines(complaints) {
		if strings.Contains(line, f.Path) {
			f.Error = strings.TrimSpace(line[strings.LastIndex(line, ": ")+1:])
		}
	}
	for line := range strings.Lines(status) {
		fields := strings.Fields(line)
		if len(fields) == 4 && fields[0] == f.Path {
			f.Mode, f.Owner = "0"+fields[1], fields[2]
			f.Size, _ = strconv.ParseInt(fields[3], 10, 64)
		}
	}
	if f.Error == "" && f.Role != RoleKey {
		f.describeCertificates(content)
	}
	return f
}

// describeCertificates fills in what a file that is no key holds.
func (f *File) describeCertificates(content string) {
	certs, err := parsePEM([]byte(content))
	if err != nil {
		f.ParseError = err.Error()
		return
	}
	if f.Role == RoleCert {
		certs = certs[:1] // what follows are its issuers
		f.Serial = fmt.Sprintf("%x", certs[0].SerialNumber)
	}
	for _, c := range certs {
		if c.NotBefore.After(f.NotBefore) {
			f.NotBefore = c.NotBefore.UTC()
		}
		if f.NotAfter.IsZero() || c.NotAfter.Before(f.NotAfter) {
			f.NotAfter = c.NotAfter.UTC()
		}
	}
}

var headHeading = regexp.MustCompile(`(?m)^==> (.*) <==$`)

// splitHeads takes apart what head prints of several files.
func splitHeads(text string) map[string]string {
	contents := map[string]string{}
	headings := headHeading.FindAllStringSubmatchIndex(text, -1)
	for i, h := range headings {
		end := len(text)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		contents[text[h[2]:h[3]]] = strings.TrimPrefix(text[h[1]:end], "\n")
	}
	return contents
}

// socketTables list every TCP connection of the pod, whoever's it is.
var socketTables = []string{"/proc/net/tcp", "/proc/net/tcp6"}

// ParseSockets reads the established connections of one of the kernel's tables.
func ParseSockets(table string) []Socket {
	const established = "01"
	var sockets []Socket
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 8 || f[3] != established {
			continue
		}
		local, err1 := kernelAddress(f[1])
		remote, err2 := kernelAddress(f[2])
		uid, err3 := strconv.Atoi(f[7])
		if errors.Join(err1, err2, err3) == nil {
			sockets = append(sockets, Socket{Local: local, Remote: remote, UID: uid})
		}
	}
	slices.SortFunc(sockets, func(a, b Socket) int { return strings.Compare(a.Remote+" "+a.Local, b.Remote+" "+b.Local) })
	return sockets
}

// kernelAddress reads "0100007F:1F90": the address in words of the host's byte
// order, here little-endian, and the port.
func kernelAddress(text string) (string, error) {
	host, port, ok := strings.Cut(text, ":")
	words, err := hex.DecodeString(host)
	if !ok || err != nil || len(words) != net.IPv4len && len(words) != net.IPv6len {
		return "", fmt.Errorf("%q is no address of the kernel's", text)
	}
	for w := 0; w < len(words); w += 4 {
		slices.Reverse(words[w : w+4])
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(net.IP(words).String(), strconv.FormatUint(number, 10)), nil
}
