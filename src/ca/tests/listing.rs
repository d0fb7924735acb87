use super::records::{Fixture, fixture, fixture_of};
use super::{NOW, self_signed};
use crate::ca::listing::{Cursor, page};
use crate::ca::{MIGRATIONS, records};

/// Room for whatever a test has.
const PLENTY: i64 = i64::MAX;

impl Fixture {
    /// A certificate on record, made for the drafts after those that there are. Any certificate will do; what tells
    /// them apart is the start of their validity.
    fn issued(&self, number: i64) -> i64 {
        let authority = if number == 1 { self.pending() } else { 1 };
        let serial = format!("{:032X}", number * 7919 % 1009);
        let draft = self.draft(&serial, None).unwrap();
        let certificate = self_signed(NOW + number, NOW + number + 10).ca().clone();
        self.store
            .write(move |tx| {
                records::insert_certificate(tx, draft, authority, &serial, &certificate, NOW)
            })
            .unwrap();
        draft
    }

    /// The starts of validity on a page, and where the next one begins.
    fn page(&self, after: Cursor, limit: u32, octets: i64) -> (Vec<i64>, Option<Cursor>) {
        let page = self.store.read(|tx| page(tx, after, limit, octets)).unwrap();
        (page.certificates.iter().map(|one| one.not_before() - NOW).collect(), page.next)
    }
}

#[test]
fn pages_follow_each_other_in_the_order_of_the_drafts() {
    let fixture = fixture();
    assert_eq!(fixture.page(Cursor::default(), 10, PLENTY), (vec![], None));
    let drafts: Vec<i64> = (1..=5).map(|number| fixture.issued(number)).collect();
    let at = |index: usize| Cursor(drafts[index]);
    assert_eq!(fixture.page(Cursor::default(), 10, PLENTY), (vec![1, 2, 3, 4, 5], None));
    assert_eq!(fixture.page(Cursor::default(), 2, PLENTY), (vec![1, 2], Some(at(1))));
    // One that is issued meanwhile comes after the others.
    fixture.issued(6);
    assert_eq!(fixture.page(at(1), 2, PLENTY), (vec![3, 4], Some(at(3))));
    assert_eq!(fixture.page(at(3), 2, PLENTY), (vec![5, 6], Some(Cursor(drafts[4] + 1))));
    assert_eq!(fixture.page(Cursor(drafts[4] + 1), 2, PLENTY), (vec![], None));
}

#[test]
fn a_page_of_large_certificates_is_shorter() {
    let fixture = fixture();
    let drafts: Vec<i64> = (1..=3).map(|number| fixture.issued(number)).collect();
    let sizes = fixture.store.read(|tx| records::certificate_sizes(tx, 0, 3)).unwrap();
    let two = sizes[0].1 + sizes[1].1;
    let begin = Cursor::default();
    assert_eq!(fixture.page(begin, 3, two), (vec![1, 2], Some(Cursor(drafts[1]))));
    assert_eq!(fixture.page(begin, 3, two - 1), (vec![1], Some(Cursor(drafts[0]))));
    // One is always given: it would never be listed.
    assert_eq!(fixture.page(begin, 3, 1), (vec![1], Some(Cursor(drafts[0]))));
}

#[test]
fn a_page_is_looked_up() {
    let fixture = fixture();
    for sql in [records::CERTIFICATE_SIZES, records::CERTIFICATES_BETWEEN] {
        let plan = fixture.store.query_plan(sql, &[0.into(), 10.into()]).unwrap();
        assert!(
            plan[0].starts_with("SEARCH certificates USING INTEGER PRIMARY KEY"),
            "{sql}: {plan:?}"
        );
        // Nothing is sorted: that would hold every row that follows.
        assert_eq!(plan.len(), 1, "{sql}: {plan:?}");
    }
}

#[test]
fn certificates_of_a_former_version_are_listed() {
    let fixture = fixture_of(&MIGRATIONS[..3]);
    for number in 1..=4 {
        fixture.issued(number);
    }
    let fixture = fixture.opened_again();
    assert_eq!(fixture.page(Cursor::default(), 10, PLENTY), (vec![1, 2, 3, 4], None));
    fixture.issued(5);
    assert_eq!(fixture.page(Cursor(4), 10, PLENTY), (vec![5], None));
    let kept = fixture.store.read::<Vec<String>, crate::store::Error>(|tx| {
        let sql = "SELECT certificates.serial FROM certificates JOIN drafts ON drafts.id = certificates.draft
                   WHERE certificates.serial = drafts.serial AND certificates.issued_at = $1";
        tx.query(sql, &[NOW.into()])?.iter().map(|row| row.text(0).map(str::to_owned)).collect()
    });
    assert_eq!(kept.unwrap().len(), 5);
}
