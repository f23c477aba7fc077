//! Personal data are found in the forms in which people write them; prices, products, dates and ids are left alone.

#![allow(clippy::unwrap_used, missing_docs)]

use domain::pii::{PiiKind, find, redact, redact_document};
use proptest::prelude::*;
use serde_json::json;

/// Text, what is in it, and what is left of it.
const PERSONAL: &[(&str, PiiKind, &str)] = &[
    ("write to ann.lee+ads@example.co.uk, please", PiiKind::Email, "write to [email], please"),
    ("<jörg@müller.de>", PiiKind::Email, "<[email]>"),
    ("mailto:o'neil@shop.example.", PiiKind::Email, "mailto:[email]."),
    ("A_B%c@sub-domain.example.org said", PiiKind::Email, "[email] said"),
    ("call +1 (212) 555-0100 now", PiiKind::Phone, "call [phone] now"),
    ("+49 170 1234567", PiiKind::Phone, "[phone]"),
    ("+44 20 7946 0958, after six", PiiKind::Phone, "[phone], after six"),
    ("+33.1.42.68.53.00", PiiKind::Phone, "[phone]"),
    ("+4915112345678", PiiKind::Phone, "[phone]"),
    ("(212) 555-0100", PiiKind::Phone, "[phone]"),
    ("212-555-0100 is hers", PiiKind::Phone, "[phone] is hers"),
    ("1-800-555-0199.", PiiKind::Phone, "[phone]."),
    ("212.555.0100", PiiKind::Phone, "[phone]"),
    ("Tel: 030 1234567", PiiKind::Phone, "Tel: [phone]"),
    ("phone number 2125550100", PiiKind::Phone, "phone number [phone]"),
    ("mobile: 0171 2345678", PiiKind::Phone, "mobile: [phone]"),
    ("call me at 555 0100 22", PiiKind::Phone, "call me at [phone]"),
    ("fax 212 555 0100", PiiKind::Phone, "fax [phone]"),
    ("card 4111 1111 1111 1111 exp 12/27", PiiKind::CreditCard, "card [card number] exp 12/27"),
    ("4111111111111111", PiiKind::CreditCard, "[card number]"),
    ("5555-5555-5555-4444", PiiKind::CreditCard, "[card number]"),
    ("amex 3782 822463 10005", PiiKind::CreditCard, "amex [card number]"),
    ("2223003122003222", PiiKind::CreditCard, "[card number]"),
    ("3056 930902 5904", PiiKind::CreditCard, "[card number]"),
    ("6011111111111117!", PiiKind::CreditCard, "[card number]!"),
    ("ssn 078-05-1120 on file", PiiKind::Ssn, "ssn [social security number] on file"),
    ("219-09-9999", PiiKind::Ssn, "[social security number]"),
    ("SSN: 219099999", PiiKind::Ssn, "SSN: [social security number]"),
    ("social security 219 09 9999", PiiKind::Ssn, "social security [social security number]"),
    ("DE89 3704 0044 0532 0130 00 please", PiiKind::Iban, "[bank account] please"),
    ("GB29NWBK60161331926819", PiiKind::Iban, "[bank account]"),
    ("iban fr1420041010050500013m02606", PiiKind::Iban, "iban [bank account]"),
    ("NO93 8601 1117 947.", PiiKind::Iban, "[bank account]."),
    ("from 203.0.113.7.", PiiKind::IpAddress, "from [ip address]."),
    ("10.0.0.1, twice", PiiKind::IpAddress, "[ip address], twice"),
    ("2001:db8::8a2e:370:7334", PiiKind::IpAddress, "[ip address]"),
    ("at [2001:0db8:85a3:0000:0000:8a2e:0370:7334]", PiiKind::IpAddress, "at [[ip address]]"),
    ("lives at 221B Baker Street, London", PiiKind::StreetAddress, "lives at [street address], London"),
    ("1600 Pennsylvania Ave. and on", PiiKind::StreetAddress, "[street address] and on"),
    ("12 Martin Luther King Blvd", PiiKind::StreetAddress, "[street address]"),
    ("5 Elm Court, Springfield", PiiKind::StreetAddress, "[street address], Springfield"),
    ("77 Sunset Drive Apt 4", PiiKind::StreetAddress, "[street address] Apt 4"),
    ("Hauptstraße 12", PiiKind::StreetAddress, "[street address]"),
    ("Musterstr. 5a", PiiKind::StreetAddress, "[street address]"),
    ("12 rue de la Paix", PiiKind::StreetAddress, "[street address]"),
    ("P.O. Box 1234", PiiKind::StreetAddress, "[street address]"),
    ("Mrs. Ada Lovelace bought it", PiiKind::PersonName, "[name] bought it"),
    ("ask Dr Grace B. Hopper", PiiKind::PersonName, "ask [name]"),
    ("Hi, my name is Jean Martin and", PiiKind::PersonName, "Hi, [name] and"),
    ("Customer name: Ana Silva; basket 3", PiiKind::PersonName, "[name]; basket 3"),
    ("電話 ０９０－１２３４－５６７８ まで", PiiKind::Phone, "電話 [phone] まで"),
    ("お電話０９０-１２３４-５６７８まで", PiiKind::Phone, "お電話[phone]まで"),
    ("هاتف ٢١٢٥٥٥٠١٨٧", PiiKind::Phone, "هاتف [phone]"),
    ("٢١٢-٥٥٥-٠١٨٧", PiiKind::Phone, "[phone]"),
    ("card ４１１１　１１１１　１１１１　１１１１ ok", PiiKind::CreditCard, "card [card number] ok"),
    ("4111\u{200b}1111\u{200b}1111\u{200b}1111 ok", PiiKind::CreditCard, "[card number] ok"),
    ("४१११ ११११ ११११ ११११", PiiKind::CreditCard, "[card number]"),
    ("mail jane.doe＠example.com now", PiiKind::Email, "mail [email] now"),
    ("mail ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", PiiKind::Email, "mail [email]"),
    ("?to=jane%40example.com&x", PiiKind::Email, "?to=[email]&x"),
    ("212\u{2011}555\u{2011}0187", PiiKind::Phone, "[phone]"),
];

/// What looks like it and is not.
const NOT_PERSONAL: &[&str] = &[
    "12345",
    "ship to zone 90210",
    "00501 units",
    "UPC 012345678905",
    "EAN 4006381333931",
    "gtin 00012345600012",
    "036000291452",
    "$1,234.56",
    "USD 12345.67",
    "1.299,00 €",
    "12.340000",
    "price 3.99 list 6.19",
    "spend 4,111,111.11",
    "+12 345 678 impressions",
    "+123 456 789",
    "+5 %",
    "+12.5%",
    "2026-01-15",
    "15/01/2026",
    "2026-01-15T12:00:00Z",
    "01.02.2026",
    "12:30:45",
    "12:30",
    "week 2026-W03",
    "call 2026-01-15",
    "SKU cj-829123",
    "cj-5978656",
    "sku 2125550100",
    "order 212-555-0100",
    "id 2125550100",
    "1234567890",
    "9876543210987",
    "B08N5WRWNW",
    "cmp_0190f5a0-7b6e-7c3a-9d52-0b8a52f0c2d1",
    "task 019234567890",
    "4111111111111112",
    "1234 5678 9012 3456",
    "0000000000000000",
    "000-12-3456",
    "666-12-3456",
    "912-12-3456",
    "123-00-4567",
    "12-345-6789",
    "123 45 6789",
    "sizes 10-12-14",
    "DE89370400440532013001",
    "version 1.2.3.4",
    "v1.2.3.4",
    "1.2.3",
    "256.1.1.1",
    "1.2.3.4.5",
    "10.00.00.01",
    "std::net",
    "a::b",
    "aa:bb:cc:dd:ee:ff",
    "ratio 16:9",
    "@brand",
    "user@localhost",
    "3 @ 2.50",
    "a@b",
    "12 pack",
    "Top 10 Best Way",
    "2 Main products",
    "5 Star Drive",
    "3 St",
    "rue 5",
    "24 Hour Place",
    "Dr Pepper 12 CT",
    "Mr. Clean",
    "Dr. Scholl's inserts",
    "Mrs. Butterworth's syrup",
    "my name is irrelevant",
    "name: Spring Campaign",
    "Mr",
    "drive sales",
    "mobile 1250000 impressions",
    "mobile number of visits",
    "call to action",
    "phone 12",
    "text 100",
    "300x250",
    "728x90 banner",
    "50 % of 1,000,000",
    "Cheese 2/5.00 16 OZ",
    "1/2 GAL",
    "roas 3.2 (2.1-4.4)",
    "households 2469",
    "",
    " ",
    "...",
    "---",
    "+",
    "(",
    "@",
    "+()",
    "1-1-1-1-1-1-1-1-1-1-1-1",
    "全场５０％免费",
    "価格 １２３４５６７８ 円",
    "ｃｊ－８２９１２３",
    "20%40 rabatt",
];

#[test]
fn personal_data_are_found_and_masked() {
    for (text, kind, left) in PERSONAL {
        let kinds: Vec<PiiKind> = find(text).into_iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [*kind], "{text:?}");
        assert_eq!(redact(text).as_deref(), Some(*left), "{text:?}");
    }
    assert!(PERSONAL.len() + NOT_PERSONAL.len() > 130);
}

#[test]
fn prices_products_dates_and_ids_are_left_alone() {
    for text in NOT_PERSONAL {
        assert_eq!(find(text), [], "{text:?}");
        let inside = format!("We saw {text} and more.");
        assert_eq!(find(&inside), [], "{inside:?}");
        assert_eq!(redact(text), None);
    }
}

#[test]
fn a_text_with_many_keeps_the_rest() {
    let text = "Ms. Eva Stone <eva@example.com>, 212-555-0100, paid 12.50 for cj-829123 with 4111 1111 1111 1111 from 192.0.2.1";
    let left = "[name] <[email]>, [phone], paid 12.50 for cj-829123 with [card number] from [ip address]";
    assert_eq!(redact(text).as_deref(), Some(left));
}

#[test]
fn documents_are_masked_in_place_and_say_where() {
    let mut document = json!({"a": ["ok", {"b/c": "x@example.com"}], "n": 4_111_111_111_111_111_i64, "d": "tel 030 1234567 or 12345"});
    let places = redact_document("/context_snippets/0", &mut document);
    assert_eq!(document, json!({"a": ["ok", {"b/c": "[email]"}], "n": 4_111_111_111_111_111_i64, "d": "tel [phone] or 12345"}));
    let said: Vec<(&str, PiiKind)> = places.iter().map(|place| (place.place.as_str(), place.kind)).collect();
    assert_eq!(said, [("/context_snippets/0/a/1/b~1c", PiiKind::Email), ("/context_snippets/0/d", PiiKind::Phone)]);
}

#[test]
fn the_name_of_a_member_is_the_label_of_its_value() {
    let mut document = json!({
        "phone": "2125550187", "customer_name": "Jane Doe", "customer": {"name": "Ana Silva", "homePhones": ["030 1234567"]},
        "contact-number": "555 0100 22", "firstName": "Jane", "ssn": "219099999", "order_number": "call 212-555-0100",
    });
    let places = redact_document("", &mut document);
    let left = json!({
        "phone": "[phone]", "customer_name": "[name]", "customer": {"name": "[name]", "homePhones": ["[phone]"]},
        "contact-number": "[phone]", "firstName": "[name]", "ssn": "[social security number]", "order_number": "call [phone]",
    });
    assert_eq!((document, places.len()), (left, 8));
    let plain = json!({
        "name": "Spring Campaign", "sku": "2125550100", "campaign_id": "1234567890", "customer": "regular", "phone": "none",
        "customer_name_field": "Crm Export", "headline": "Fresh Beer", "price": "12.340000",
    });
    let mut document = plain.clone();
    assert_eq!((redact_document("", &mut document), document), (vec![], plain));
}

#[test]
fn the_real_bundle_and_the_sample_tasks_hold_nothing_personal() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut read = 0;
    for file in ["deploy/sample-data/golden.json", "deploy/sample-data/tasks.json"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(redact_document("", &mut document), [], "{file}");
        read += text.len();
    }
    for file in std::fs::read_dir(root.join("crates/storage/tests/data/retail")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for (line, found) in text.lines().map(|line| (line, find(line))) {
            assert_eq!(found, [], "{} {line}", path.display());
        }
        read += text.len();
    }
    assert!(read > 100_000, "{read} bytes read");
}

proptest! {
    #[test]
    fn any_text_is_cut_at_characters_and_masking_twice_changes_nothing(text in "\\PC{0,120}") {
        let mut end = 0;
        for finding in find(&text) {
            prop_assert!(finding.span.start >= end && finding.span.end > finding.span.start && text.get(finding.span.clone()).is_some());
            end = finding.span.end;
        }
        if let Some(masked) = redact(&text) {
            let again = redact(&masked).unwrap_or_else(|| masked.clone());
            prop_assert!(find(&again).is_empty() || again.len() <= masked.len() + 64);
        }
    }

    #[test]
    fn digits_alone_are_personal_only_as_a_card(digits in "[0-9]{1,24}") {
        for finding in find(&digits) {
            prop_assert_eq!(finding.kind, PiiKind::CreditCard);
        }
    }

    #[test]
    fn prices_never_are(whole in 0_u64..100_000_000, cents in 0_u32..100) {
        prop_assert_eq!(find(&format!("spend {whole}.{cents:02} USD")), []);
        prop_assert_eq!(find(&format!("{whole},{cents:02} EUR")), []);
    }
}
