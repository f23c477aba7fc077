//! Keys that come, rotate, go and cannot be fetched.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex as Plain;

use secrecy::SecretString;
use serde_json::json;
use testkit::clock::{Hand, fixed};
use testkit::supabase::{JWT_SECRET, Signer, key_set};

use super::*;
use crate::token::{TokenError, Tokens};

/// An issuer whose set a test changes, and how often it was fetched.
struct Tried {
    tokens: Tokens,
    set: Arc<Plain<(Result<Value, String>, usize)>>,
    hand: Hand,
}

fn tried() -> Tried {
    let (clock, hand) = fixed("2026-01-15T12:00:00Z");
    let set: Arc<Plain<(Result<Value, String>, usize)>> = Arc::new(Plain::new((Ok(key_set(&["es-1"])), 0)));
    let served = set.clone();
    let fetch: FetchKeys = Arc::new(move || {
        let mut served = served.lock().unwrap();
        served.1 += 1;
        let answer = served.0.clone();
        Box::pin(async move { answer })
    });
    let secret = SecretString::from("our own secret of thirty-two bytes or more");
    let tokens = Tokens::new(&secret, clock.clone()).also_accepting(&JWT_SECRET.into()).trusting(Issuer::new(clock, fetch));
    Tried { tokens, set, hand }
}

fn claims() -> Value {
    // A decimal, as issuers may write.
    json!({"sub": "u-1", "role": "authenticated", "aud": "authenticated", "exp": 1_800_000_000.5, "iat": 1_700_000_000.25,
        "app_metadata": {"role": "expert", "account_id": "acc_1"}, "user_metadata": {"role": "platform_admin"}})
}

impl Tried {
    async fn verify(&self, token: &str) -> Result<crate::token::Claims, TokenError> {
        self.tokens.prepare(token).await;
        self.tokens.verify_access(token)
    }

    fn serve(&self, set: Result<Value, String>) {
        self.set.lock().unwrap().0 = set;
    }

    fn fetched(&self) -> usize {
        self.set.lock().unwrap().1
    }
}

#[tokio::test]
async fn tokens_of_every_kind_of_key_are_read() {
    let tried = tried();
    tried.serve(Ok(key_set(&["es-1", "rs-1"])));
    for signer in [Signer::Hs256, Signer::Es256("es-1"), Signer::Rs256] {
        let claims = tried.verify(&signer.sign(&claims())).await.unwrap_or_else(|error| panic!("{signer:?}: {error}"));
        assert_eq!((claims.account_id(), claims.exp), ("acc_1", 1_800_000_000), "{signer:?}");
        assert_eq!(claims.app_metadata.role, Some(domain::role::Role::Expert), "what people say of themselves gives no role");
    }
    assert_eq!(tried.fetched(), 1, "once for both keys, and not for a secret");
    tried.hand.advance(TimeDelta::days(4_000));
    tried.verify(&Signer::Es256("es-1").sign(&claims())).await.unwrap_err();
}

#[tokio::test]
async fn a_new_key_is_fetched_and_made_up_ones_do_not_hammer_the_project() {
    let tried = tried();
    tried.verify(&Signer::Es256("es-1").sign(&claims())).await.unwrap();
    tried.serve(Ok(key_set(&["es-1", "es-2"])));
    let rotated = Signer::Es256("es-2").sign(&claims());
    assert_eq!(tried.verify(&rotated).await, Err(TokenError::WrongSignature), "asked less than half a minute ago");
    tried.hand.advance(REFETCH_EVERY);
    tried.verify(&rotated).await.unwrap();
    let before = tried.fetched();
    for _ in 0..50 {
        assert_eq!(tried.verify(&Signer::Rs256.sign(&claims())).await, Err(TokenError::WrongSignature));
    }
    assert_eq!(tried.fetched(), before);
}

#[tokio::test]
async fn who_cannot_wait_finds_the_keys_when_they_were_warmed_or_at_the_next_try() {
    let tried = tried();
    let token = Signer::Es256("es-1").sign(&claims());
    tried.tokens.warm().await;
    tried.tokens.verify_access(&token).unwrap();
    tried.tokens.warm().await;
    assert_eq!(tried.fetched(), 1, "known and young");
    tried.serve(Ok(key_set(&["es-1", "es-2"])));
    tried.hand.advance(REFETCH_EVERY);
    let rotated = Signer::Es256("es-2").sign(&claims());
    assert_eq!(tried.tokens.verify_access(&rotated), Err(TokenError::WrongSignature), "not known yet, and asked for meanwhile");
    while tried.tokens.verify_access(&rotated).is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(tried.fetched(), 2);
}

#[tokio::test]
async fn known_keys_last_for_a_day_while_the_project_is_down() {
    let tried = tried();
    let (known, unknown) = (Signer::Es256("es-1").sign(&claims()), Signer::Es256("es-2").sign(&claims()));
    tried.verify(&known).await.unwrap();
    tried.serve(Err("connection refused".to_owned()));
    tried.hand.advance(TimeDelta::hours(23));
    tried.verify(&known).await.unwrap();
    while tried.fetched() < 2 {
        tokio::task::yield_now().await;
    }
    tried.verify(&known).await.unwrap();
    tried.hand.advance(TimeDelta::minutes(1));
    assert_eq!(tried.verify(&unknown).await, Err(TokenError::KeysUnavailable), "it may be a good one");
    tried.hand.advance(TimeDelta::hours(1));
    assert_eq!(tried.verify(&known).await, Err(TokenError::KeysUnavailable));
    tried.serve(Ok(key_set(&["es-1"])));
    tried.hand.advance(REFETCH_EVERY);
    while tried.verify(&known).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_key_that_was_taken_away_signs_nothing_any_more() {
    let tried = tried();
    let leaked = Signer::Es256("es-1").sign(&claims());
    tried.verify(&leaked).await.unwrap();
    tried.serve(Ok(key_set(&["es-2"])));
    tried.hand.advance(FRESH);
    // The first request uses what is known; the set arrives beside it.
    tried.verify(&leaked).await.ok();
    while tried.fetched() < 2 {
        tokio::task::yield_now().await;
    }
    while tried.tokens.verify_access(&leaked).is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn neither_none_nor_a_public_key_as_a_secret_is_a_signature() {
    use jsonwebtoken::{EncodingKey, Header};
    let tried = tried();
    let good = Signer::Es256("es-1").sign(&claims());
    tried.verify(&good).await.unwrap();
    let set = key_set(&["es-1"]);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("es-1".to_owned());
    for secret in [set.to_string(), set["keys"][0].to_string(), set["keys"][0]["x"].as_str().unwrap().to_owned()] {
        let forged = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret.as_bytes())).unwrap();
        assert_eq!(tried.verify(&forged).await, Err(TokenError::WrongSignature));
    }
    let (_, rest) = good.split_once('.').unwrap();
    // {"alg":"none","kid":"es-1"} and {"alg":"RS256","kid":"es-1"}
    for header in ["eyJhbGciOiJub25lIiwia2lkIjoiZXMtMSJ9", "eyJhbGciOiJSUzI1NiIsImtpZCI6ImVzLTEifQ"] {
        tried.verify(&format!("{header}.{rest}")).await.unwrap_err();
    }
    let unsigned = format!("eyJhbGciOiJub25lIiwia2lkIjoiZXMtMSJ9.{}.", rest.split('.').next().unwrap());
    tried.verify(&unsigned).await.unwrap_err();
    // A secret in a set is passed over: it would let everybody who reads the set sign.
    tried
        .serve(Ok(json!({"keys": [{"kty": "oct", "kid": "sy-1", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}]})));
    assert!(read_set(&tried.set.lock().unwrap().0.clone().unwrap()).is_empty());
}
