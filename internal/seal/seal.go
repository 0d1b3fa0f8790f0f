// Package seal makes what must be secret in the database unreadable without a key
// that is not there.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// Key seals and opens. It prints as nothing.
type Key struct{ bits [32]byte }

// NewKey makes a key of a secret text, the same one each time.
func NewKey(secret string) Key {
	var k Key
	bits, err := hkdf.Key(sha256.New, []byte(secret), nil, "tricircle: sealed in the database", len(k.bits))
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	copy(k.bits[:], bits)
	return k
}

// String hides the key.
func (Key) String() string { return "(hidden)" }

// GoString hides it from %#v.
func (Key) GoString() string { return "(hidden)" }

// Seal makes the text unreadable. It can only be opened as being about the same
// thing, so that a row's content is of no use in another row.
func (k Key) Seal(plain []byte, about string) string {
	box := k.box()
	nonce := make([]byte, box.NonceSize())
	_, _ = rand.Read(nonce) // it never fails
	return base64.RawStdEncoding.EncodeToString(box.Seal(nonce, nonce, plain, []byte(about)))
}

// Open is the way back. It fails for another key, another thing, or a changed text.
func (k Key) Open(sealed, about string) ([]byte, error) {
	raw, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, fmt.Errorf("cannot open what is sealed: %w", err)
	}
	box := k.box()
	if len(raw) < box.NonceSize() {
		return nil, errors.New("cannot open what is sealed: it is too short")
	}
	plain, err := box.Open(nil, raw[:box.NonceSize()], raw[box.NonceSize():], []byte(about))
	if err != nil {
		return nil, errors.New("cannot open what is sealed: it was sealed with another key, or changed")
	}
	return plain, nil
}

func (k Key) box() cipher.AEAD {
	block, err := aes.NewCipher(k.bits[:])
	if err != nil {
		panic(err) // only for another length of key
	}
	box, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return box
}
