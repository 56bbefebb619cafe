package diagnosis

import (
	"regexp"
	"slices"
)

// Class is what an error text of a scrape says about where it failed.
type Class string

// The classes, from before the network to the application's answer.
const (
	NoError              Class = ""
	CANotConfigured      Class = "no-ca-configured"
	FileMissing          Class = "file-missing"
	FileUnreadable       Class = "file-unreadable"
	KeyMismatch          Class = "key-mismatch"
	FileInvalid          Class = "file-invalid"
	CertificateRequired  Class = "certificate-required"
	HandshakeFailure     Class = "handshake-failure"
	BadCertificate       Class = "bad-certificate"
	UnknownAuthority     Class = "unknown-authority"
	ExpiredCertificate   Class = "expired-certificate"
	RevokedCertificate   Class = "revoked-certificate"
	ProtocolVersion      Class = "protocol-version"
	OtherAlert           Class = "other-alert"
	VerifyAddress        Class = "verify-address"   // the server's certificate names no IP address
	VerifyName           Class = "verify-name"      // it names another host, or none
	VerifyAuthority      Class = "verify-authority" // it comes from an unknown CA
	VerifyExpired        Class = "verify-expired"
	VerifyOther          Class = "verify-other"
	PlainAnswer          Class = "plain-answer" // HTTP where TLS was expected
	NotTLS               Class = "not-tls"
	WrongFraming         Class = "wrong-framing" // HTTP/2 met somebody who does not speak it
	DeniedStatus         Class = "status-401-403"
	NotFoundStatus       Class = "status-404"
	UnavailableStatus    Class = "status-502-503-504"
	BadRequestStatus     Class = "status-400"
	VersionStatus        Class = "status-426-505" // the wrong version of HTTP
	OtherStatus          Class = "status-other"
	ContentType          Class = "content-type"
	NotMetrics           Class = "not-metrics"
	LimitExceeded        Class = "limit-exceeded"
	ConnectionRefused    Class = "connection-refused"
	Unreachable          Class = "unreachable"
	TimedOut             Class = "timed-out"
	NameUnknown          Class = "name-unknown"
	ClosedAfterHandshake Class = "closed-after-handshake" // TLS 1.3: a refusal, or a wrong protocol
	ConnectionReset      Class = "connection-reset"
	ClosedEarly          Class = "closed-early"
	Unclassified         Class = "unclassified"
)

// pattern is one line of the table. Look says where to look first when the text is
// all there is.
type pattern struct {
	class Class
	text  *regexp.Regexp
	look  string
}

// patterns is the table; the first that matches decides. Named alerts stand before
// the texts that a broken connection may leave instead of them: with TLS 1.3 the
// refusal reaches a client that is already writing.
var patterns = []pattern{
	{CANotConfigured, re(`unable to use specified CA cert: none configured`), "the monitor's tlsConfig.caFile and the version of Prometheus"},
	{KeyMismatch, re(`private key does not match public key`), "whether certFile and keyFile belong together, and whether the error is still there one interval later (the proxy replaces key and chain one after the other)"},
	{FileUnreadable, re(`permission denied`), "mode and owner of the file, and the user of the Prometheus container"},
	{FileMissing, re(`no such file or directory`), "the path in the monitor against the mounts of the Prometheus container"},
	{FileInvalid, re(`unable to (use|read|load) (the )?(specified )?(CA cert|client cert|client key)|unable to find any PEM data|failed to find .*PEM data|failed to find any PEM data`), "the content of the files that the monitor names"},
	{CertificateRequired, re(`remote error: tls: certificate required`), "whether the generated tls_config has cert_file and key_file"},
	{UnknownAuthority, re(`remote error: tls: unknown certificate authority`), "who issued the client certificate, and the root that the target's proxy trusts"},
	{ExpiredCertificate, re(`remote error: tls: expired certificate`), "the end of the certificate in the file against that in Prometheus' proxy"},
	{RevokedCertificate, re(`remote error: tls: revoked certificate`), "the CRL of the mesh (ca-crl.pem)"},
	{BadCertificate, re(`remote error: tls: (bad certificate|unknown certificate|unsupported certificate)`), "the SPIFFE ID in the client certificate, and the trust domains of both sides"},
	{HandshakeFailure, re(`remote error: tls: handshake failure`), "cert_file and key_file in the generated tls_config, and the TLS versions of both sides"},
	{ProtocolVersion, re(`remote error: tls: protocol version not supported|tls: (client|server) (offered|selected) (only )?unsupported (protocol )?version`), "minVersion and maxVersion of both sides"},
	{OtherAlert, re(`remote error: tls: `), "the listener of the target's proxy"},
	{VerifyAddress, re(`x509: cannot validate certificate for .* because it doesn't contain any IP SANs`), "insecure_skip_verify in the generated job"},
	{VerifyName, re(`x509: certificate is (not valid for any names|valid for .*, not |not valid for)|but none matched|x509: certificate relies on legacy Common Name`), "serverName in the monitor, and who listens on that port"},
	{VerifyAuthority, re(`x509: certificate signed by unknown authority|x509: certificate is not trusted`), "caFile of the job, and who listens on that port"},
	{VerifyExpired, re(`x509: certificate has expired or is not yet valid`), "the clocks, and the target's own certificate"},
	{VerifyOther, re(`x509: |tls: failed to verify certificate`), "the target's certificate"},
	{PlainAnswer, re(`server gave HTTP response to HTTPS client`), "whether the target's proxy is in the way of that port at all"},
	{NotTLS, re(`first record does not look like a TLS handshake|tls: (unsupported SSLv2 handshake|oversized record)`), "whether the target's proxy is in the way of that port at all"},
	{DeniedStatus, re(`HTTP status 40[13]`), "AuthorizationPolicies, and the body of the answer"},
	{NotFoundStatus, re(`HTTP status 404`), "the path in the monitor"},
	{UnavailableStatus, re(`HTTP status 50[234]`), "the address that the application listens on, and the log of the target's proxy"},
	{BadRequestStatus, re(`HTTP status 400`), "the scheme in the monitor"},
	{VersionStatus, re(`HTTP status (426|505)`), "the name or appProtocol of the Service's port"},
	{OtherStatus, re(`HTTP status \d`), "the application"},
	{ContentType, re(`received unsupported Content-Type|sending blank Content-Type|non-compliant scrape target`), "the Content-Type of the answer"},
	{LimitExceeded, re(`(body size|sample|label|target|bucket|label_name_length|label_value_length)[ _]*limit|exceeds? .*limit|limit exceeded`), "the limits in the monitor and in the Prometheus object"},
	{WrongFraming, re(`unexpected EOF|http2: (frame too large|failed reading the frame payload)|malformed HTTP (response|status|version)|http2: .*(HTTP/1\.[01]|PROTOCOL_ERROR|preface)`), "the name and appProtocol of the Service's port, and enableHttp2"},
	{NotMetrics, re(`expected (value|timestamp|a valid|equal|label|metric|float).*got |invalid metric type|unexpected end of input|unexpected end of data|invalid UTF-8|parse error|data does not end with # EOF`), "the body of the answer"},
	{ConnectionRefused, re(`connect: connection refused`), "the state of the pod, and the port"},
	{Unreachable, re(`no route to host|network is unreachable|i/o timeout`), "NetworkPolicies and the nodes' network"},
	{TimedOut, re(`context deadline exceeded|Client\.Timeout|TLS handshake timeout`), "how long the application takes, and NetworkPolicies"},
	{NameUnknown, re(`no such host|server misbehaving`), "DNS"},
	{ClosedAfterHandshake, re(`write: broken pipe|http2: client conn(ection)? (could not be established|force closed|lost)|write: connection reset by peer|http2: Transport|GOAWAY`), "further scrapes, for an alert that names the reason; then the name and appProtocol of the Service's port"},
	{ConnectionReset, re(`connection reset by peer`), "scheme in the monitor, and the effective PeerAuthentication"},
	{ClosedEarly, re(`\bEOF$`), "scheme in the monitor, and the effective PeerAuthentication"},
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// Classify says what the error texts of several scrapes of one target mean taken
// together. A text that names its reason beats one that a broken connection left:
// the last is what luck made of the first.
func Classify(texts ...string) Class {
	best := NoError
	for _, t := range texts {
		if c := classify(t); best == NoError || vagueness(c) < vagueness(best) {
			best = c
		}
	}
	return best
}

func classify(text string) Class {
	if text == "" {
		return NoError
	}
	text = request.ReplaceAllString(text, "") // a path may hold any word
	for _, p := range patterns {
		if p.text.MatchString(text) {
			return p.class
		}
	}
	return Unclassified
}

// request is how Go begins an error of an HTTP request.
var request = re(`^(Get|Post) "[^"]*": `)

// vagueness orders classes by how little they say.
func vagueness(c Class) int {
	return slices.Index([]Class{ConnectionReset, ClosedEarly, ClosedAfterHandshake, TimedOut, Unclassified, NoError}, c)
}

// lookFirst is where to look when a class is all that is known.
func lookFirst(c Class) string {
	for _, p := range patterns {
		if p.class == c {
			return p.look
		}
	}
	return "the log of Prometheus and of the target's proxy"
}

// Groups of classes that one thing going wrong may leave, whichever comes first.
var (
	fileClasses   = []Class{FileMissing, FileUnreadable, KeyMismatch, FileInvalid, CANotConfigured}
	plainClasses  = []Class{PlainAnswer, NotTLS}
	closedClasses = []Class{ConnectionReset, ClosedEarly, ClosedAfterHandshake}
	brokenClasses = []Class{ConnectionReset, ClosedEarly, ClosedAfterHandshake, WrongFraming}
	verifyClasses = []Class{VerifyAddress, VerifyName, VerifyAuthority, VerifyOther}
)
