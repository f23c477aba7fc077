use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::json;

use crate::experiments::{ab, create, observe, sums, to};
use crate::plans::with_history;
use crate::{Client, GROCER, OTHER, PLATFORM, bench, bench_on, call, send};

async fn page(app: &Client, key: &str, path: &str) -> (StatusCode, String) {
    send(app, TestRequest::get().uri(path).insert_header(("apikey", key))).await
}

#[actix_web::test]
async fn every_page_shows_what_is_there_explains_what_is_not_and_keeps_tenants_apart() {
    let bench = bench(None).await;
    let app = bench.app().await;
    for (path, words) in [
        ("/", "Weekly mailer programme"),
        ("/", "no budget stated"),
        ("/?search=MAILER&sort=name&status=&retailer_id=rtl-grocer-cj", "Display plus mailer"),
        ("/?status=draft", "No campaign matches"),
        ("/?search=%25", "No campaign matches"),
        ("/campaigns/cmp-mailer", "No performance yet"),
        ("/campaigns/cmp-instore-display", "Spend and revenue over time"),
        ("/campaigns/cmp-instore-display?by=month", "Instore display · "),
        ("/campaigns/cmp-instore-display?from=1999-01-01&to=1999-01-31", "Nothing in these days"),
        ("/campaigns/cmp-mailer/plans", "No plans yet"),
        ("/campaigns/cmp-mailer/edit", "Change Weekly mailer"),
        ("/campaigns/new", "It begins as a draft"),
        ("/imports", "Bring in a file"),
    ] {
        let (status, text) = page(&app, GROCER, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        assert!(text.contains(words), "{path} lacks {words:?}: {text}");
        assert!(!text.contains("cmp-dm-09"), "{path} shows another tenant's campaign");
    }
    for path in ["/campaigns/cmp-mailer", "/campaigns/cmp-mailer/plans", "/campaigns/cmp-mailer/edit", "/campaigns/nothing"] {
        assert_eq!(page(&app, OTHER, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

/// A person who mistypes an address or follows an old bookmark reads a page, not JSON, and programs still get the status.
#[actix_web::test]
async fn an_address_that_cannot_be_shown_is_explained_by_a_page() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let invalid = StatusCode::UNPROCESSABLE_ENTITY;
    for (path, status, words) in [
        ("/?cursor=nonsense", invalid, "cursor"),
        ("/?sort=luck", invalid, "must be one of changed, newest"),
        ("/?page_size=abc", invalid, "page_size"),
        ("/?limit=abc", invalid, "must be a whole number from 1 to 500"),
        ("/?status=nope", invalid, "one of draft, scheduled"),
        ("/campaigns/cmp-mailer?from=2017-02-01&to=2017-01-01", invalid, "is before from"),
        ("/campaigns/cmp-mailer?from=soon", invalid, "must be a day such as"),
        ("/campaigns/unknown", StatusCode::NOT_FOUND, "no campaign"),
        ("/campaigns/unknown/plans", StatusCode::NOT_FOUND, "no campaign"),
        ("/imports/unknown", StatusCode::NOT_FOUND, "no import"),
        ("/imports?state=lost", invalid, "one of queued, running"),
    ] {
        let (found, text) = page(&app, GROCER, path).await;
        assert_eq!(found, status, "{path}: {text}");
        assert!(text.starts_with("<!doctype html>") && text.contains("class=\"navigation\"") && text.contains("<h1>"), "{path}: {text}");
        assert!(text.contains(words) && text.contains("All campaigns"), "{path} lacks {words:?}: {text}");
        assert_eq!(text.contains("Open the page without parameters"), status == invalid, "{path}: {text}");
    }
    let program = TestRequest::get().uri("/?status=nope").insert_header(("apikey", GROCER)).insert_header(("Accept", "application/json"));
    let (_, text) = send(&app, program).await;
    assert!(text.starts_with('{') && text.contains("\"field\":\"status\""), "{text}");
    let (_, text) = page(&app, GROCER, "/?status=%3Cscript%3Ealert").await;
    assert!(!text.contains("<script>alert"), "{text}");
}

/// What became of a file stays to be read: in the list, and on a page of its own with every wrong row.
#[actix_web::test]
async fn imports_are_listed_with_their_wrong_rows() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let (_, none) = page(&app, GROCER, "/imports").await;
    assert!(none.contains("No import yet") && none.contains(".parquet"), "{none}");
    let body = "campaign_id,date,spend\ncmp-instore-display,2031-12-31,2\ncmp-instore-display,2031-12-30,much\n";
    let request = TestRequest::post().uri("/v1/imports/performance?on_error=skip").insert_header(("apikey", GROCER));
    let (status, text) = send(&app, request.insert_header(("Content-Type", "text/csv")).set_payload(body)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let outcome: serde_json::Value = serde_json::from_str(&text).unwrap();
    let id = outcome["import_id"].as_str().unwrap();
    let (_, list) = page(&app, GROCER, "/imports").await;
    assert!(list.contains(&format!("/imports/{id}")) && list.contains("data-count=\"rejected\">1<"), "{list}");
    let (status, detail) = page(&app, GROCER, &format!("/imports/{id}")).await;
    assert_eq!(status, StatusCode::OK, "{detail}");
    for words in ["Wrong rows are left out", "<code>spend</code>", "class=\"number\">3<", "Download all as CSV"] {
        assert!(detail.contains(words), "{words:?} is missing: {detail}");
    }
    assert!(page(&app, GROCER, "/imports?table=performance&state=finished").await.1.contains(id));
    assert!(page(&app, GROCER, "/imports?table=skus").await.1.contains("No import matches"));
    assert!(!page(&app, OTHER, "/imports").await.1.contains(id), "another tenant's import");
    assert_eq!(page(&app, OTHER, &format!("/imports/{id}")).await.0, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn a_list_goes_on_where_its_page_ended_and_a_cursor_of_another_order_is_refused() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let (_, first) = page(&app, GROCER, "/?limit=2&sort=name").await;
    let cursor = first.split("cursor=").nth(1).and_then(|rest| rest.split('"').next()).expect("there is a next page").to_owned();
    let (status, second) = page(&app, GROCER, &format!("/?limit=2&sort=name&cursor={cursor}")).await;
    assert_eq!(status, StatusCode::OK);
    let named =
        |text: &str| ["cmp-mailer", "cmp-instore-display", "cmp-display-mailer"].map(|id| text.contains(&format!("value=\"{id}\"")));
    let (first, second) = (named(&first), named(&second));
    assert!(first.iter().zip(second).all(|(one, other)| *one != other), "each campaign is on one page: {first:?} {second:?}");
    assert_eq!(page(&app, GROCER, &format!("/?sort=changed&cursor={cursor}")).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[actix_web::test]
async fn what_people_write_cannot_become_markup() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let body = json!({"campaign_id": "x", "retailer_id": "rtl-grocer-cj", "name": "<script>alert(1)</script>", "placement_types": ["<b>"]});
    assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns", Some(body)).await.0, StatusCode::CREATED);
    for path in ["/", "/campaigns/x", "/campaigns/x/plans", "/campaigns/x/edit", "/?search=%3Cscript%3Ealert"] {
        let (status, text) = page(&app, GROCER, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(!text.contains("<script>alert") && !text.contains("<b>"), "{path}: {text}");
    }
    let (_, text) = page(&app, GROCER, "/campaigns/x").await;
    assert!(
        text.contains("No performance yet") && text.contains("data-move=\"scheduled\"") && text.contains("<strong>Create</strong>"),
        "{text}"
    );
}

/// What is unusual or cannot be right is listed with the reason, and every figure says what it rests on.
#[actix_web::test]
async fn a_campaign_says_what_is_unusual_and_what_its_figures_rest_on() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let body = json!({"campaign_id": "c1", "retailer_id": "rtl-grocer-cj", "name": "Spring", "currency": "USD"});
    assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns", Some(body)).await.0, StatusCode::CREATED);
    let row = |day: u64, impressions: u32, clicks: u32| {
        let date = chrono::NaiveDate::from_ymd_opt(2017, 1, 2).unwrap() + chrono::Days::new(day);
        json!({"date": date, "placement_type": "search", "impressions": impressions, "clicks": clicks, "spend": "10.00"})
    };
    let mut rows: Vec<serde_json::Value> = (0..30).map(|day| row(day, 100, 5)).collect();
    rows.extend([row(30, 1000, 5), row(32, 100, 105)]);
    let (status, answer) = call(&app, GROCER, "POST", "/v1/campaigns/c1/performance", Some(json!({"rows": rows}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (status, text) = page(&app, GROCER, "/campaigns/c1").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    for words in [
        "Impressions: unusually high",
        "1,000 is more than the 100 expected from 28 days before",
        "More clicks than impressions",
        "100 impressions, 105 clicks, 10.00 USD spend (Search)",
        "1 Feb 2017",
        "Every figure and what it rests on",
        "clicks / impressions, of rows with both",
        "not measured",
        "32 rows",
        "No experiment is about this campaign",
    ] {
        assert!(text.contains(words), "{words:?} is missing: {text}");
    }
    let declared = json!({"attribution": {"window_days": 14, "basis": "click", "scope": "brand", "sales": "gross"}});
    assert_eq!(call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-grocer-cj", Some(declared)).await.0, StatusCode::OK);
    let (_, text) = page(&app, GROCER, "/campaigns/c1").await;
    assert!(text.contains("orders within 14 days of a click, of the brand, gross sales"), "{text}");
}

/// What the analytics hide stays hidden on the page, in totals, by day and by part, and the page says why.
#[actix_web::test]
async fn a_campaign_hides_the_small_groups_that_the_analytics_hide() {
    for database in testkit::database::all() {
        let bench = bench_on(database, None).await;
        let app = bench.app().await;
        let policy = |least: u32| json!({"policies": {"min_cell_size": least}});
        assert_eq!(call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-grocer-cj", Some(policy(50))).await.0, StatusCode::OK);
        let body = json!({"campaign_id": "c1", "retailer_id": "rtl-grocer-cj", "name": "Spring", "currency": "USD"});
        assert_eq!(call(&app, GROCER, "POST", "/v1/campaigns", Some(body)).await.0, StatusCode::CREATED);
        let row = |day: u32, audience: &str, impressions: u32, spend: &str| {
            json!({"date": format!("2017-01-{day:02}"), "placement_type": "search", "audience_segment": audience, "sku_id": audience,
                "impression_kind": audience, "impressions": impressions, "spend": spend})
        };
        let rows = json!({"rows": [row(2, "first", 900, "91.11"), row(3, "second", 20, "92.22"), row(4, "third", 300, "93.33")]});
        let (status, answer) = call(&app, GROCER, "POST", "/v1/campaigns/c1/performance", Some(rows)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let (status, text) = page(&app, GROCER, "/campaigns/c1").await;
        assert_eq!(status, StatusCode::OK, "{text}");
        let part = |name: &str| {
            let (_, rest) = text.split_once(&format!("aria-labelledby=\"{name}\"")).unwrap_or_else(|| panic!("no {name}: {text}"));
            rest.split_once("</section>").unwrap().0.to_owned()
        };
        for (name, whose) in [("course-title", "91.11 USD"), ("audiences-title", "91.11 USD"), ("skus-title", "91.11 USD")] {
            let shown = part(name);
            assert!(shown.contains(whose), "{name}: {shown}");
            assert!(!shown.contains("92.22") && !shown.contains("93.33"), "the second smallest hides the smallest, {name}: {shown}");
            assert!(shown.contains("too few people to show"), "{name}: {shown}");
            assert!(shown.contains("2 of these are not shown: the retailer wants at least 50 acts of people"), "{name}: {shown}");
        }
        assert!(part("placements-title").contains("276.66 USD"), "a part that is large enough is shown");
        let (_, one_day) = page(&app, GROCER, "/campaigns/c1?from=2017-01-03&to=2017-01-03").await;
        assert!(one_day.contains("These figures are not shown: the retailer wants"), "{one_day}");
        let figures = one_day.split("aria-label=\"Key figures\"").nth(1).and_then(|rest| rest.split("</section>").next()).unwrap();
        assert!(figures.contains("too few people to show") && !figures.contains("92.22"), "{figures}");
        assert_eq!(call(&app, PLATFORM, "PATCH", "/v1/retailers/rtl-grocer-cj", Some(policy(1))).await.0, StatusCode::OK);
        let (_, text) = page(&app, GROCER, "/campaigns/c1").await;
        assert!(text.contains("92.22 USD") && !text.contains("too few people") && !text.contains("not shown:"), "{text}");
    }
}

#[actix_web::test]
async fn experiments_stand_on_the_page_of_their_campaign_with_interval_and_n() {
    let bench = bench(None).await;
    let app = bench.app().await;
    create(&app, ab("exp-1", "sequential")).await;
    assert!(page(&app, GROCER, "/campaigns/cmp-mailer").await.1.contains("It has not started: there is nothing to read."));
    to(&app, "exp-1", json!({"to": "running"})).await;
    observe(&app, "exp-1", json!([sums("control", 1000.0, 10.0, "0"), sums("mailed", 1000.0, 12.0, "500.00")])).await;
    let (_, text) = page(&app, GROCER, "/campaigns/cmp-mailer").await;
    for words in [
        "Mailed: +20.0 % (95 %: ",
        "n = 2,000 units",
        "significant",
        "Incremental ROAS 4.00 (95 %: ",
        "Control: households that got no mailer",
    ] {
        assert!(text.contains(words), "{words:?} is missing: {text}");
    }
    create(&app, ab("exp-2", "fixed")).await;
    to(&app, "exp-2", json!({"to": "running"})).await;
    assert!(page(&app, GROCER, "/campaigns/cmp-mailer").await.1.contains("read once, at its planned end"));
}

#[actix_web::test]
async fn plans_stand_side_by_side_with_their_decision() {
    let bench = bench(None).await;
    let path = with_history(&bench).await;
    let app = bench.app().await;
    let body = json!({"total_budget": {"amount": "5000", "currency": "USD"}, "ask_people": "never"});
    let (status, made) = call(&app, GROCER, "POST", path, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let set = made["plan_set_id"].as_str().unwrap();
    let (status, text) = page(&app, GROCER, &format!("/campaigns/c1/plans?set={set}")).await;
    assert_eq!(status, StatusCode::OK);
    let plan = &made["plans"][0];
    let interval = &plan["expected"]["revenue_interval"];
    let shown = |money: &serde_json::Value| {
        let micros = domain::money::parse_micros("money", money["amount"].as_str().unwrap()).unwrap();
        campaign_runtime::pages::words::money(micros, money["currency"].as_str())
    };
    let stated = format!("95 %: {} to {}", shown(&interval["low"]), shown(&interval["high"]));
    for words in [
        "5,000.00 USD over 28 days",
        "Expected ROAS",
        &stated,
        "Where the money goes",
        "was chosen by expected outcome",
        "Compared with what is done now (spend of the last 4 measured weeks",
        "Against what is done now",
        "10 weeks with spend and revenue",
        "the next unit returns",
        "What may go wrong",
        "Kept, and binding",
    ] {
        assert!(text.contains(words), "{words:?} is missing: {text}");
    }
    assert!(text.contains(&format!("Now {}", shown(&plan["allocation"][0]["present_spend"]))), "{text}");
    assert_eq!(page(&app, GROCER, "/campaigns/c1/plans?set=pls_nothing").await.0, StatusCode::NOT_FOUND);
    assert_eq!(page(&app, GROCER, &format!("/campaigns/cmp-instore-display/plans?set={set}")).await.0, StatusCode::NOT_FOUND);
    let (_, campaign) = page(&app, GROCER, "/campaigns/c1").await;
    assert!(campaign.contains("chosen by expected outcome"), "{campaign}");
}

#[actix_web::test]
async fn whoever_is_not_signed_in_sees_no_data_and_is_sent_to_the_login() {
    let bench = bench(None).await;
    let app = bench.app().await;
    let (status, text) = send(&app, TestRequest::get().uri("/")).await;
    assert!(status == StatusCode::OK && text.contains("Sign in") && !text.contains("cmp-mailer"));
    for path in ["/campaigns/cmp-mailer", "/campaigns/new", "/imports", "/campaigns/cmp-mailer/plans"] {
        assert_eq!(send(&app, TestRequest::get().uri(path)).await.0, StatusCode::SEE_OTHER, "{path}");
    }
}
