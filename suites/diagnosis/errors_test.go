package diagnosis

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// seenErrors are texts that Prometheus and Go were seen to write.
var seenErrors = map[string]Class{
	``: NoError,
	`Get "https://10.244.0.6:9080/metrics": unable to use specified CA cert: none configured`:                                                                                                                                   CANotConfigured,
	`Get "https://10.244.0.6:9080/metrics": unable to read CA cert: unable to read file /etc/prom-certs/root-cert.pem: open /etc/prom-certs/root-cert.pem: no such file or directory`:                                           FileMissing,
	`unable to load specified CA cert /etc/prom-certs/root-cert.pem: open /etc/prom-certs/root-cert.pem: no such file or directory`:                                                                                             FileMissing,
	`unable to read specified client key: unable to read file /etc/prom-certs/key.pem: open /etc/prom-certs/key.pem: permission denied`:                                                                                         FileUnreadable,
	`unable to use specified CA cert file /etc/prom-certs/root-cert.pem`:                                                                                                                                                        FileInvalid,
	`unable to use specified client cert (file /etc/prom-certs/key.pem) & key (file /etc/prom-certs/cert-chain.pem): tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may`: FileInvalid,
	`unable to use specified client cert (file /etc/prom-certs/cert-chain.pem) & key (file /etc/prom-certs/key.pem): tls: private key does not match public key`:                                                                KeyMismatch,
	`Get "https://10.244.0.6:9080/metrics": remote error: tls: certificate required`:                                                                                                                                            CertificateRequired,
	`Get "https://10.244.0.6:9080/metrics": remote error: tls: handshake failure`:                                                                                                                                               HandshakeFailure,
	`Get "https://10.244.0.6:9080/metrics": remote error: tls: unknown certificate`:                                                                                                                                             BadCertificate,
	`Get "https://10.244.0.6:9080/metrics": remote error: tls: bad certificate`:                                                                                                                                                 BadCertificate,
	`Get "https://10.244.0.6:9080/metrics": remote error: tls: unknown certificate authority`:                                                                                                                                   UnknownAuthority,
	`Get "https://10.244.0.6:9080/metrics": remote error: tls: expired certificate`:                                                                                                                                             ExpiredCertificate,
	`Get "https://10.244.0.6:9080/metrics": remote error: tls: revoked certificate`:                                                                                                                                             RevokedCertificate,
	`Get "https://10.244.0.6:9080/metrics": remote error: tls: protocol version not supported`:                                                                                                                                  ProtocolVersion,
	`Get "https://10.244.0.6:9080/metrics": remote error: tls: no application protocol`:                                                                                                                                         OtherAlert,
	`Get "https://10.244.0.6:9080/metrics": write tcp 10.244.0.13:1->10.244.0.6:9080: write: broken pipe`:                                                                                                                       ClosedAfterHandshake,
	`Get "https://10.244.0.6:9080/metrics": write tcp 10.244.0.13:1->10.244.0.6:9080: write: connection reset by peer`:                                                                                                          ClosedAfterHandshake,
	`Get "https://10.244.0.6:9080/metrics": http2: client conn could not be established`:                                                                                                                                        ClosedAfterHandshake,
	`Get "https://10.244.0.6:9080/metrics": read tcp 10.244.0.13:1->10.244.0.6:9080: read: connection reset by peer`:                                                                                                            ConnectionReset,
	`Get "https://10.244.0.6:9080/metrics": EOF`:                                                                                                                                                                                ClosedEarly,
	`Get "https://10.244.0.6:9080/metrics": unexpected EOF`:                                                                                                                                                                     WrongFraming,
	`Get "https://10.244.0.6:9080/metrics": http2: frame too large`:                                                                                                                                                             WrongFraming,
	`Get "https://10.244.0.6:9080/metrics": http2: failed reading the frame payload: http2: frame too large, note that the frame header looked like an HTTP/1.1 header`:                                                         WrongFraming,
	`Get "https://10.244.0.6:9080/metrics": net/http: HTTP/1.x transport connection broken: malformed HTTP response "\x00\x00"`:                                                                                                 WrongFraming,
	`Get "https://10.244.0.6:9080/metrics": tls: failed to verify certificate: x509: cannot validate certificate for 10.244.0.6 because it doesn't contain any IP SANs`:                                                         VerifyAddress,
	`Get "https://10.244.0.6:9080/metrics": tls: failed to verify certificate: x509: certificate is not valid for any names, but wanted to match productpage`:                                                                   VerifyName,
	`Get "https://10.244.0.6:9080/metrics": tls: failed to verify certificate: x509: certificate is valid for a.example, not b.example`:                                                                                         VerifyName,
	`Get "https://10.244.0.6:9080/metrics": tls: failed to verify certificate: x509: certificate signed by unknown authority`:                                                                                                   VerifyAuthority,
	`Get "https://10.244.0.6:9080/metrics": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-25T02:05:27Z is after 2026-11-25T02:05:26Z`:                              VerifyExpired,
	`Get "https://10.244.0.6:9080/metrics": http: server gave HTTP response to HTTPS client`:                                                                                                                                    PlainAnswer,
	`Get "https://10.244.0.6:9080/metrics": tls: first record does not look like a TLS handshake`:                                                                                                                               NotTLS,
	`Get "https://10.244.0.6:9080/metrics": dial tcp 10.244.0.6:9080: connect: connection refused`:                                                                                                                              ConnectionRefused,
	`Get "https://10.244.0.6:9080/metrics": dial tcp 10.244.0.6:9080: connect: no route to host`:                                                                                                                                Unreachable,
	`Get "https://10.244.0.6:9080/metrics": dial tcp 10.244.0.6:9080: i/o timeout`:                                                                                                                                              Unreachable,
	`Get "https://10.244.0.6:9080/metrics": context deadline exceeded`:                                                                                                                                                          TimedOut,
	`Get "https://10.244.0.6:9080/metrics": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`:                                                                                                         TimedOut,
	`server returned HTTP status 400 Bad Request`:                                                                                                                                                                               BadRequestStatus,
	`server returned HTTP status 401 Unauthorized`:                                                                                                                                                                              DeniedStatus,
	`server returned HTTP status 403 Forbidden`:                                                                                                                                                                                 DeniedStatus,
	`server returned HTTP status 404 Not Found`:                                                                                                                                                                                 NotFoundStatus,
	`server returned HTTP status 426 Upgrade Required`:                                                                                                                                                                          VersionStatus,
	`server returned HTTP status 503 Service Unavailable`:                                                                                                                                                                       UnavailableStatus,
	`server returned HTTP status 505 HTTP Version Not Supported`:                                                                                                                                                                VersionStatus,
	`received unsupported Content-Type "text/html; charset=utf-8" and no fallback_scrape_protocol specified for target`:                                                                                                         ContentType,
	`non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target`:                                                                                                               ContentType,
	`expected value after metric, got "<" ("INVALID") while parsing: "<!"`:                                                                                                                                                      NotMetrics,
	`expected a valid start token, got "<" ("INVALID") while parsing: "<"`:                                                                                                                                                      NotMetrics,
	`invalid metric type "html"`: NotMetrics,
	`body size limit exceeded`:   LimitExceeded,
	`sample limit exceeded`:      LimitExceeded,
	`label_limit exceeded (metric: "x", number of labels: 40, limit: 30)`:                        LimitExceeded,
	`Get "http://10.244.0.6:9080/permission denied": dial tcp: lookup productpage: no such host`: NameUnknown,
	`Get "https://10.244.0.6:9080/sample_limit": remote error: tls: certificate required`:        CertificateRequired,
	`something that nobody has seen before`:                                                      Unclassified,
}

func TestClassify(t *testing.T) {
	for text, want := range seenErrors {
		assert.Equal(t, want, Classify(text), text)
	}
}

// TestClassifySeveral is about one target that fails each time in another way, as
// with TLS 1.3 a refused client does.
func TestClassifySeveral(t *testing.T) {
	const pipe, refusal = "write tcp 1.2.3.4:1->5.6.7.8:9: write: broken pipe", "remote error: tls: certificate required"
	assert.Equal(t, CertificateRequired, Classify(pipe, refusal, "http2: client conn could not be established"))
	assert.Equal(t, CertificateRequired, Classify(refusal, pipe))
	assert.Equal(t, ClosedAfterHandshake, Classify("who knows", pipe))
	assert.Equal(t, ConnectionReset, Classify("context deadline exceeded", "read: connection reset by peer"))
	assert.Equal(t, NoError, Classify())
}

func TestEveryClassIsInTheTableAndHasATest(t *testing.T) {
	tested := map[Class]bool{VerifyOther: true, OtherStatus: true}
	for _, c := range seenErrors {
		tested[c] = true
	}
	for _, p := range patterns {
		assert.True(t, tested[p.class], "no text of class %s", p.class)
		assert.NotEmpty(t, p.look, p.class)
	}
}

func FuzzClassify(f *testing.F) {
	for text := range seenErrors {
		f.Add(text, "")
		f.Add("write: broken pipe", text)
	}
	known := []Class{NoError, Unclassified}
	for _, p := range patterns {
		known = append(known, p.class)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		c := Classify(a, b)
		if !slices.Contains(known, c) {
			t.Fatalf("%q is no class", c)
		}
		if (c == NoError) != (a == "" && b == "") {
			t.Fatalf("%q of %q and %q", c, a, b)
		}
		if c != Classify(b, a) && vagueness(Classify(a)) != vagueness(Classify(b)) {
			t.Fatalf("the order of %q and %q matters", a, b)
		}
	})
}
