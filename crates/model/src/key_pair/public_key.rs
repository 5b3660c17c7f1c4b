//! Public keys in the form that OpenSSH has them in (RFC 4253, section 6.6; RFC 8709).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha2::Sha256;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// As `authorized_keys` has it.
    pub line: String,
    /// As EC2 shows it for keys that were imported: of an RSA key the MD5 digest of its DER form, of an ED25519 key
    /// the SHA-256 digest.
    pub fingerprint: String,
}

const RSA: &str = "ssh-rsa";
const ED25519: &str = "ssh-ed25519";
/// The algorithm rsaEncryption with its absent parameters (RFC 8017, appendix A.1).
const RSA_ENCRYPTION: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

impl PublicKey {
    /// Reads a line of `authorized_keys` without options: an RSA or ED25519 key. None if it is no such line.
    pub fn parse(text: &str) -> Option<PublicKey> {
        let line = text.trim();
        let mut words = line.split_ascii_whitespace();
        let (kind, blob) = (words.next()?, STANDARD.decode(words.next()?).ok()?);
        if line.contains('\n') {
            return None;
        }
        let mut rest = blob.as_slice();
        if field(&mut rest)? != kind.as_bytes() {
            return None;
        }
        let fingerprint = match kind {
            RSA => {
                let (exponent, modulus) = (field(&mut rest)?, field(&mut rest)?);
                let der = subject_public_key_info(modulus, exponent);
                let pairs: Vec<_> = Md5::digest(der).iter().map(|byte| format!("{byte:02x}")).collect();
                pairs.join(":")
            }
            ED25519 if field(&mut rest)?.len() == 32 => STANDARD.encode(Sha256::digest(&blob)),
            _ => return None,
        };
        rest.is_empty().then(|| PublicKey { line: line.to_owned(), fingerprint })
    }
}

/// Takes a string with its length before it (RFC 4251, section 5).
fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (field, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = after;
    Some(field)
}

/// An RSA key in DER (RFC 5280, section 4.1; RFC 8017, appendix A.1.1). SSH's integers are DER's.
fn subject_public_key_info(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = value(SEQUENCE, &[&value(INTEGER, &[modulus]), &value(INTEGER, &[exponent])]);
    let bits = value(BIT_STRING, &[&[0], &key]);
    value(SEQUENCE, &[&RSA_ENCRYPTION, &bits])
}

/// A DER value: tag, length, content.
fn value(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1);
    let length = &length[significant..];
    let mut value = vec![tag];
    if content.len() >= 0x80 {
        value.push(0x80 | length.len() as u8);
    }
    value.extend_from_slice(length);
    value.extend_from_slice(&content);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519_KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIA2eeSpAtNgEQzI0j8Qdhz7NjugNLm3+B21CyzzVo5zg";
    const RSA_KEY: &str = "\
            AAAAB3NzaC1yc2EAAAADAQABAAABAQCqyQsPWGErNToSALR3J8ZMscSoHr/NaktF4VkxIAJyc6AR0FpJzL0gXGV+t9\
            EdHLgTSPgaJKfkMxCZbswv0MiJ94CkPrfbcaOcN++xF6n8bDpUUHoycM4iO4BzVnnwYl/bJwaCCgMp3AZRviOs22tV\
            MRen284sXTLXprWPT+mtCFxePvepUx7gMuoxo3PZJvVSB2jENRwNKjyevpfVVAeZsVzslbUqwAtLx3M9HtWpaX9s+C\
            3U1rvK6vNpuUvo15qfGsrTxLLow4M32IApy+eb69zukASIZiWCLMIUOJniLXud1pHiUlMw5JuPgVmKHP5O7MG32qoj\
            ftDVaf3M4+c7";

    /// As `ssh-keygen -l` says, and as `openssl md5` says of the key that `ssh-keygen -e -m PKCS8` writes, in DER.
    #[test]
    fn fingerprints() {
        let key = PublicKey::parse(&format!("ssh-ed25519 {ED25519_KEY} me@home\n")).unwrap();
        assert_eq!(key.fingerprint, "WhHMFBZv8NnxqOmx6D2KsiKrZhIgoiLd2Gsta3t0AdY=");
        assert!(key.line.ends_with("me@home"));
        let key = PublicKey::parse(&format!("ssh-rsa {RSA_KEY}")).unwrap();
        assert_eq!(key.fingerprint, "93:41:be:b0:ed:a6:1b:da:b0:f0:8e:fb:18:b9:3f:76");
    }

    #[test]
    fn no_keys() {
        for line in [
            String::new(),
            "ssh-ed25519".to_owned(),
            format!("ssh-rsa {ED25519_KEY}"),
            format!("ssh-ed25519 {}", &ED25519_KEY[..64]),
            format!("ssh-ed25519 {ED25519_KEY}\nssh-ed25519 {ED25519_KEY}"),
            "-----BEGIN PUBLIC KEY-----".to_owned(),
        ] {
            assert!(PublicKey::parse(&line).is_none(), "{line}");
        }
    }
}
