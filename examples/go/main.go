// A resource server of one team. It serves `GET /reports` to vaultTokens of this team with the
// scope `vault:read`. For `GET /salaries` the user must also have proved a second factor within 15
// minutes. It needs Go 1.19 or newer, and only the standard library.
//
//	go run main.go ISSUER TEAM [PORT]
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// refused is an error response of RFC 6750 §3: a status, and the value of WWW-Authenticate.
type refused struct {
	status    int
	challenge string
}

func (r refused) Error() string { return r.challenge }

// leeway is the number of seconds by which the clocks of latchkey and this server may differ.
const leeway = 60

// maxAge is the number of seconds for which a second factor counts as fresh.
const maxAge = 900

var invalid = refused{401, `Bearer error="invalid_token"`}

type claims struct {
	Issuer   string  `json:"iss"`
	Audience string  `json:"aud"`
	Subject  string  `json:"sub"`
	Expires  float64 `json:"exp"`
	From     float64 `json:"nbf"`
	Team     string  `json:"tid"`
	Project  string  `json:"pid"`
	Scope    string  `json:"scope"`
	Level    string  `json:"acr"`
	ProvedAt float64 `json:"auth_time"`
}

// keys holds the public keys of the issuer. They are fetched again when they are old, or when a
// token names an unknown key.
type keys struct {
	issuer string
	client http.Client
	mutex  sync.Mutex
	byKid  map[string]*ecdsa.PublicKey
	tried  time.Time
}

func (k *keys) of(kid string) (*ecdsa.PublicKey, error) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	age := time.Since(k.tried)
	// latchkey allows clients to cache its keys for five minutes. Any client can name an unknown
	// key. Such a key starts a fetch only if the last fetch was more than ten seconds ago.
	if age > 5*time.Minute || (k.byKid[kid] == nil && age > 10*time.Second) || k.byKid == nil {
		k.tried = time.Now()
		// If the fetch fails, the known keys stay in use. Without any keys the response is 500,
		// never 401.
		if fetched, err := k.fetch(); err == nil {
			k.byKid = fetched
		} else if k.byKid == nil {
			return nil, err
		}
	}
	if key := k.byKid[kid]; key != nil {
		return key, nil
	}
	return nil, invalid
}

func (k *keys) fetch() (map[string]*ecdsa.PublicKey, error) {
	answer, err := k.client.Get(k.issuer + "/.well-known/jwks.json")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var set struct {
		Keys []struct{ Kid, Kty, Crv, X, Y string }
	}
	if answer.StatusCode != 200 {
		return nil, fmt.Errorf("the issuer responded with status %d", answer.StatusCode)
	}
	if err := json.NewDecoder(answer.Body).Decode(&set); err != nil {
		return nil, err
	}
	byKid := map[string]*ecdsa.PublicKey{}
	for _, key := range set.Keys {
		x, errX := base64.RawURLEncoding.DecodeString(key.X)
		y, errY := base64.RawURLEncoding.DecodeString(key.Y)
		point := ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
		if key.Kty == "EC" && key.Crv == "P-256" && errX == nil && errY == nil && point.Curve.IsOnCurve(point.X, point.Y) {
			byKid[key.Kid] = &point
		}
	}
	return byKid, nil
}

type guard struct {
	issuer, team string
	keys         *keys
}

// verify returns the claims of a valid token.
func (g guard) verify(token string) (claims, error) {
	var held claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return held, invalid
	}
	var header struct {
		Alg, Typ, Kid string
		Crit          json.RawMessage
	}
	// This server chooses the algorithm, not the token (RFC 8725 §3.1).
	if !parse(parts[0], &header) || header.Alg != "ES256" || header.Typ != "at+jwt" || header.Crit != nil {
		return held, invalid
	}
	key, err := g.keys.of(header.Kid)
	if err != nil {
		return held, err
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return held, invalid
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) || !parse(parts[1], &held) {
		return held, invalid
	}
	now := float64(time.Now().Unix())
	if held.Issuer != g.issuer || held.Audience != "vault" || held.Expires <= now-leeway || held.From > now+leeway {
		return held, invalid
	}
	return held, nil
}

func parse(part string, into any) bool {
	text, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, into) == nil
}

// admit accepts tokens of this team that have the scope.
func (g guard) admit(request *http.Request, scope string) (claims, error) {
	scheme, token, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return claims{}, refused{401, "Bearer"}
	}
	held, err := g.verify(strings.TrimSpace(token))
	if err != nil {
		return held, err
	}
	// The tokens of all teams have the same `aud` and are signed with the same keys, so this server
	// must check the team.
	if held.Team != g.team {
		return held, refused{403, `Bearer error="insufficient_scope"`}
	}
	for _, one := range strings.Fields(held.Scope) {
		if one == scope {
			return held, nil
		}
	}
	return held, refused{403, fmt.Sprintf(`Bearer error="insufficient_scope", scope="%s"`, scope)}
}

// requireSecondFactor refuses a token without a fresh second factor (RFC 9470 §3). Then the client
// sends a code to `POST /api/step-up` of latchkey, and repeats its request with the new vaultToken.
func requireSecondFactor(held claims) error {
	age := float64(time.Now().Unix()) - held.ProvedAt
	if held.Level == "aal2" && age <= maxAge+leeway {
		return nil
	}
	needed := fmt.Sprintf(`acr_values="aal2", max_age="%d"`, maxAge)
	return refused{401, `Bearer error="insufficient_user_authentication", ` + needed}
}

func (g guard) reports(response http.ResponseWriter, request *http.Request) {
	held, err := g.admit(request, "vault:read")
	if err == nil && request.URL.Path == "/salaries" {
		err = requireSecondFactor(held)
	}
	if no, is := err.(refused); is {
		response.Header().Set("WWW-Authenticate", no.challenge)
		response.WriteHeader(no.status)
		return
	}
	if err != nil {
		response.WriteHeader(500)
		return
	}
	response.Header().Set("Content-Type", "application/json")
	json.NewEncoder(response).Encode(map[string]string{"subject": held.Subject, "project": held.Project})
}

func main() {
	issuer, team, port := os.Args[1], os.Args[2], "8000"
	if len(os.Args) > 3 {
		port = os.Args[3]
	}
	own := guard{issuer, team, &keys{issuer: issuer, client: http.Client{Timeout: 5 * time.Second}}}
	http.HandleFunc("/reports", own.reports)
	http.HandleFunc("/salaries", own.reports)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
