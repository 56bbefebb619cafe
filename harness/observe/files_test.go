package observe

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSplitHeadsTakesFilesApart(t *testing.T) {
	assert.Equal(t, map[string]string{"/a/cert.pem": "one\ntwo\n\n", "/proc/net/tcp": "table\n"},
		splitHeads("==> /a/cert.pem <==\none\ntwo\n\n==> /proc/net/tcp <==\ntable\n"))
	assert.Empty(t, splitHeads("no heading"))
}

func TestAKeyIsToldFromACertificateByItsLabelAlone(t *testing.T) {
	assert.Equal(t, map[string]string{"/a:b/key.pem": "RSA PRIVATE KEY", "/both.pem": "PRIVATE KEY"}, keysAmong(
		"/chain.pem:-----BEGIN CERTIFICATE-----\n/chain.pem:-----BEGIN CERTIFICATE-----\n/a:b/key.pem:-----BEGIN RSA PRIVATE KEY-----\n/both.pem:-----BEGIN CERTIFICATE-----\n/both.pem:-----BEGIN PRIVATE KEY-----\n"))
	assert.Empty(t, keysAmong(""))
}

func TestParseSocketsReadsEstablishedConnections(t *testing.T) {
	table := `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0D00F40A:EE24 0600F40A:2378 01 00000000:00000000 02:000003A2 00000000 65534        0 26914 2 0 20 4 30 10 -1
   1: 00000000:3A9E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 26915 1 0 100 0 0 10 0
   2: nonsense 0600F40A:2378 01 0 0 0 0 1 2
`
	assert.Equal(t, []Socket{{Local: "10.244.0.13:60964", Remote: "10.244.0.6:9080", UID: 65534}}, ParseSockets(table))
}

func TestParseSocketsReadsMappedAddresses(t *testing.T) {
	table := `   0: 0000000000000000FFFF00000D00F40A:2382 0000000000000000FFFF00000100F40A:C8A8 01 00000000:00000000 02:0 0 65534 0 1`
	assert.Equal(t, []Socket{{Local: "10.244.0.13:9090", Remote: "10.244.0.1:51368", UID: 65534}}, ParseSockets(table))
}

func FuzzParseSockets(f *testing.F) {
	f.Add(" 0: 0D00F40A:EE24 0600F40A:2378 01 0 0 0 65534")
	f.Fuzz(func(_ *testing.T, table string) { ParseSockets(table) })
}

func TestAFileIsDescribedByWhatThreeProgramsSay(t *testing.T) {
	complaints := "head: cannot open '/certs/root.pem' for reading: No such file or directory\nhead: cannot open '/certs/key.pem' for reading: Permission denied\n"
	status := "/certs/chain.pem 644 1337:1337 2307\n/certs/key.pem 600 1337:1337 1675\n"

	missing := File{Path: "/certs/root.pem", Role: RoleCA}.describe("", complaints, status)
	assert.Equal(t, "No such file or directory", missing.Error)
	assert.Empty(t, missing.ParseError, "what cannot be read is not called malformed")

	key := File{Path: "/certs/key.pem", Role: RoleKey}.describe("", complaints, status)
	assert.Equal(t, File{Path: "/certs/key.pem", Role: RoleKey, Error: "Permission denied", Mode: "0600", Owner: "1337:1337", Size: 1675}, key)

	chain := File{Path: "/certs/chain.pem", Role: RoleCert}.describe("no PEM", complaints, status)
	assert.Empty(t, chain.Error)
	assert.Equal(t, "holds no certificate", chain.ParseError)
}

func TestAFileOfCertificatesSaysHowLongTheyHold(t *testing.T) {
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	second.cert.NotAfter, second.cert.NotBefore = first.cert.NotAfter.Add(time.Hour), first.cert.NotBefore.Add(time.Hour)
	second = second.again(t)
	leaf := first.leaf(t)

	cert := File{Path: "/c", Role: RoleCert}.describe(string(leaf)+string(first.pem()), "", "")
	chain, err := parsePEM(leaf)
	require.NoError(t, err)
	assert.Equal(t, File{Path: "/c", Role: RoleCert, Serial: "beef", NotBefore: chain[0].NotBefore.UTC(), NotAfter: chain[0].NotAfter.UTC()}, cert, "its issuer does not count")

	for _, roots := range [][]byte{append(first.pem(), second.pem()...), append(second.pem(), first.pem()...)} {
		ca := File{Path: "/ca", Role: RoleCA}.describe(string(roots), "", "")
		assert.Equal(t, File{Path: "/ca", Role: RoleCA, NotBefore: second.cert.NotBefore.UTC(), NotAfter: first.cert.NotAfter.UTC()}, ca, "the first to end, in any order")
	}

	key := File{Path: "/k", Role: RoleKey}.describe(string(leaf), "", "")
	assert.Equal(t, File{Path: "/k", Role: RoleKey}, key, "nothing of a key is looked at, whatever it is")
	unreadable := File{Path: "/c", Role: RoleCert}.describe(string(leaf), "head: cannot open '/c' for reading: Permission denied", "")
	assert.True(t, unreadable.NotAfter.IsZero())
	empty := File{Path: "/c", Role: RoleCert}.describe("", "", "")
	assert.Equal(t, File{Path: "/c", Role: RoleCert, ParseError: "holds no certificate"}, empty)
}

func FuzzDescribeFile(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "head: cannot open '/c': x", "/c 644 0:0 1")
	f.Fuzz(func(_ *testing.T, content, complaints, status string) {
		for _, role := range []string{RoleCA, RoleCert, RoleKey} {
			File{Path: "/c", Role: role}.describe(content, complaints, status)
		}
	})
}
