// Makes the vectors of this folder: `go mod init vectors && go get github.com/docker/libtrust@v0.0.0-20160708172513-aabc10ec26b7 && go run generate.go`.
package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"

	"github.com/docker/libtrust"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	blob := func(text string) map[string]string {
		return map[string]string{"blobSum": fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))}
	}
	entry := func(text string) map[string]string { return map[string]string{"v1Compatibility": text} }
	manifest := map[string]any{
		"schemaVersion": 1, "name": "team/app", "tag": "1", "architecture": "amd64",
		"fsLayers": []any{blob("upper layer"), blob("base layer")},
		"history": []any{
			entry(`{"id":"2222222222222222222222222222222222222222222222222222222222222222","parent":"1111111111111111111111111111111111111111111111111111111111111111","created":"2016-01-02T00:00:00Z","os":"linux","architecture":"amd64"}`),
			entry(`{"id":"1111111111111111111111111111111111111111111111111111111111111111","created":"2016-01-01T00:00:00Z"}`),
		},
	}
	payload, err := json.MarshalIndent(manifest, "", "   ")
	check(err)
	check(os.WriteFile("unsigned.json", payload, 0o644))

	ec256, err := libtrust.GenerateECP256PrivateKey()
	check(err)
	other, err := libtrust.GenerateECP256PrivateKey()
	check(err)
	ec384, err := libtrust.GenerateECP384PrivateKey()
	check(err)
	ec521, err := libtrust.GenerateECP521PrivateKey()
	check(err)
	rsa, err := libtrust.GenerateRSA2048PrivateKey()
	check(err)
	certificate, err := libtrust.GenerateCACert(ec256, ec256.PublicKey())
	check(err)
	sign := func(file string, signers ...libtrust.PrivateKey) {
		signature, err := libtrust.NewJSONSignature(payload)
		check(err)
		for _, key := range signers {
			check(signature.Sign(key))
		}
		write(file, signature)
	}
	sign("es256.json", ec256)
	sign("es384.json", ec384)
	sign("es512.json", ec521)
	sign("rs256.json", rsa)
	sign("two.json", ec256, other)
	chained, err := libtrust.NewJSONSignature(payload)
	check(err)
	check(chained.SignWithChain(ec256, []*x509.Certificate{certificate}))
	write("x5c.json", chained)
}

func write(file string, signature *libtrust.JSONSignature) {
	_, err := signature.Verify()
	check(err)
	signed, err := signature.PrettySignature("signatures")
	check(err)
	check(os.WriteFile(file, signed, 0o644))
}
