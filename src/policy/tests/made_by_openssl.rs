//! Certificates that OpenSSL builds and signs with the key of the CA: the policy agrees or refuses.

use hsm::Purpose::Certificate;

use super::Fixture;
use crate::base::KeyAlgorithm;
use crate::x509::tests::judge::Folder;

#[test]
fn leaves_pass_and_cas_do_not() {
    const LEAF: &str = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa(2048)] {
        let folder = Folder::new();
        let usage = "keyUsage=critical,keyCertSign,cRLSign";
        let fixture = Fixture::by_openssl(&folder, algorithm, &[usage]);
        let digest = if algorithm == KeyAlgorithm::P384 { "-sha384" } else { "-sha256" };
        folder.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "k",
            "-out",
            "r",
            "-subj",
            "/O=Example/CN=m.example.test",
        ]);
        for (extensions, days, digest, word) in [
            ("subjectAltName=DNS:m.example.test", "700", digest, ""),
            ("extendedKeyUsage=serverAuth,clientAuth", "999", digest, ""),
            ("authorityKeyIdentifier=keyid,issuer:always", "700", digest, ""),
            ("basicConstraints=critical,CA:FALSE", "700", digest, ""),
            ("basicConstraints=critical,CA:TRUE", "700", digest, "CA:TRUE"),
            ("basicConstraints=CA:TRUE,pathlen:0", "700", digest, "CA:TRUE"),
            ("keyUsage=digitalSignature,keyCertSign", "700", digest, "keyCertSign"),
            ("keyUsage=keyAgreement,decipherOnly", "700", digest, "one form"),
            ("extendedKeyUsage=OCSPSigning", "700", digest, "OCSPSigning"),
            ("nsCertType=sslCA", "700", digest, "not issued here"),
            ("subjectAltName=dirName:other\n[other]\nCN=x", "700", digest, "directory"),
            ("subjectAltName=DNS:m.example.test", "1001", digest, "outlive"),
            ("subjectAltName=DNS:m.example.test", "700", "-sha512", "algorithm"),
        ] {
            folder.write("ext", format!("{LEAF}{extensions}\n").as_bytes());
            folder.openssl(&[
                "x509", "-req", "-in", "r", "-CA", "ca.crt", "-CAkey", "ca.key", "-out", "c",
                digest, "-extfile", "ext", "-days", days,
            ]);
            let leaf = folder.certificate("c");
            match word {
                "" => fixture.judge(Certificate, leaf.tbs()).expect(extensions),
                word => fixture.refuses(Certificate, leaf.tbs(), word),
            }
        }
    }
}
