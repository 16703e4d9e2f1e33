// `tally keys`: all keys and certificates of a throw-away fleet, for demos and tests. In production
// they come from the fleet's own authority and each host's own disk or TPM; here one directory
// holds them all, the authority's private key included.
//
//   fleet-ca.pem, fleet-ca.key            the authority: ECDSA P-256
//   collector/tls.pem, tls.key            serverAuth
//   hosts/NAME/tls.pem, tls.key           clientAuth
//   hosts/NAME/signing.pem, signing.key   kStatementSigningOid (attest/admit.h)
//   auditor/tls.pem, tls.key              clientAuth
//   auditor/signing.pem, signing.key      kExplanationSigningOid (attest/admit.h)
//   log/ed25519.key, log/ecdsa.key        sign the checkpoint
//   log.vkeys                             their public halves (attest/checkpoint.h)
//   join.key                              of the tokens that stand for names (attest/names.h)
//   auditor/sealing.key, sealing.pem      names are sealed to the latter, a public key, and opened
//                                         with the former: `tally report --unseal`
//
// Private keys are PKCS#8 PEM, mode 0600. Certificates hold from an hour ago for 30 days.
#pragma once

#include "base/result.h"

#include <string>
#include <vector>

namespace tally {

struct Fleet {
    std::string directory;
    std::vector<std::string> hosts;          // DNS names
    std::string collector;                   // DNS name; "localhost" also gets 127.0.0.1
    std::string auditor = "auditor.example"; // DNS name; who explains findings
    std::string origin = "example.com/fleet";
    bool expired = false; // all but the authority's certificate ended an hour ago
};

// Refuses a directory that already holds an authority's key, and names that are not DNS names.
Status make_fleet(const Fleet &fleet);

} // namespace tally
