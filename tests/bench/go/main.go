// A certificate authority over HTTP as one writes it in Go from what is there: net/http, crypto/x509, crypto11 for the
// token, bbolt with a flush for each certificate. The shape of step-ca, for the comparison in scripts/bench; built from
// Debian's packages alone. It takes the request and gives the answer of vmcad's POST /v1/certificates.
package main

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/ThalesIgnite/crypto11"
	bolt "go.etcd.io/bbolt"
)

var certificates = []byte("certificates")

type authority struct {
	issuer *x509.Certificate
	pem    string
	signer crypto11.Signer
	db     *bolt.DB
}

type request struct {
	CSR string `json:"csr"`
}

type answer struct {
	Chain  []string `json:"chain"`
	Serial string   `json:"serial"`
}

// issue checks the request's own signature, has the token sign, and returns when the certificate is on the disk.
func (ca *authority) issue(asked request) (*answer, error) {
	block, _ := pem.Decode([]byte(asked.CSR))
	if block == nil {
		return nil, errors.New("no PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, err
	}
	octets := make([]byte, 16)
	if _, err := rand.Read(octets); err != nil {
		return nil, err
	}
	octets[0] = octets[0]&0x7f | 0x40
	serial := new(big.Int).SetBytes(octets)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:   serial,
		Subject:        csr.Subject,
		NotBefore:      now.Add(-10 * time.Minute),
		NotAfter:       now.AddDate(2, 0, 0),
		KeyUsage:       x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		DNSNames:       csr.DNSNames,
		IPAddresses:    csr.IPAddresses,
		EmailAddresses: csr.EmailAddresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.issuer, csr.PublicKey, ca.signer)
	if err != nil {
		return nil, err
	}
	err = ca.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(certificates).Put(octets, der)
	})
	if err != nil {
		return nil, err
	}
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &answer{Chain: []string{string(leaf), ca.pem}, Serial: fmt.Sprintf("%032X", serial)}, nil
}

func (ca *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked request
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	issued, err := ca.issue(asked)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := json.Marshal(issued)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.Write(body)
}

func run() error {
	module := flag.String("module", "", "PKCS#11 module")
	label := flag.String("token", "", "label of the token")
	pin := flag.String("pin", "", "PIN of the token, which is made for this comparison and holds nothing else")
	key := flag.String("key", "", "label of the key")
	cert := flag.String("ca", "", "certificate of the CA, PEM")
	file := flag.String("db", "", "database")
	socket := flag.String("socket", "", "Unix socket to listen on")
	flag.Parse()

	context, err := crypto11.Configure(&crypto11.Config{
		Path: *module, TokenLabel: *label, Pin: *pin, MaxSessions: 16,
	})
	if err != nil {
		return err
	}
	signer, err := context.FindKeyPair(nil, []byte(*key))
	if err != nil {
		return err
	}
	if signer == nil {
		return errors.New("the token holds no such key")
	}
	text, err := os.ReadFile(*cert)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("the certificate of the CA is not PEM")
	}
	issuer, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	db, err := bolt.Open(*file, 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(certificates)
		return err
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("unix", *socket)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/certificates", &authority{issuer: issuer, pem: string(text), signer: signer, db: db})
	return http.Serve(listener, mux)
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
