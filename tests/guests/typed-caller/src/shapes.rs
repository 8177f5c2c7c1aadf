//! Values of every shape, there and back.

use crate::exports::test::typed_caller::caller::CallError;
use crate::test::echo_client::echo::{
    Color, ColorOrCall, Inner, Many, NoneOrCall, Outer, Ref, Rights, Shape, ShapeOrCall,
};

/// How many came back, and which of them came back changed.
struct Tally {
    asked: u32,
    changed: Vec<String>,
}

impl Tally {
    fn same<T: PartialEq>(&mut self, name: &str, sent: &T, back: &T) {
        self.asked += 1;
        if sent != back {
            self.changed.push(name.to_owned());
        }
    }
}

/// One function with some values: by value, or by reference where the binding takes one.
macro_rules! each {
    ($tally:ident, $echo:ident.$function:ident(by value) $($value:expr),+) => {
        $({ let value = $value; $tally.same(stringify!($function), &value, &$echo.$function(value)?); })+
    };
    ($tally:ident, $echo:ident.$function:ident $($value:expr),+) => {
        $({ let value = $value; $tally.same(stringify!($function), &value, &$echo.$function(&value)?); })+
    };
}

pub(crate) fn all(echo: &Ref) -> Result<(u32, Vec<String>), CallError> {
    let mut tally = Tally {
        asked: 0,
        changed: Vec::new(),
    };
    numbers(echo, &mut tally)?;
    compounds(echo, &mut tally)?;
    named(echo, &mut tally)?;
    outcomes(echo, &mut tally)?;
    Ok((tally.asked, tally.changed))
}

fn numbers(echo: &Ref, tally: &mut Tally) -> Result<(), CallError> {
    each!(tally, echo.boolean(by value) true, false);
    each!(tally, echo.unsigned8(by value) 0, u8::MAX);
    each!(tally, echo.unsigned16(by value) 0, u16::MAX);
    each!(tally, echo.unsigned32(by value) 0, u32::MAX);
    each!(tally, echo.unsigned64(by value) 0, u64::MAX);
    each!(tally, echo.signed8(by value) i8::MIN, i8::MAX);
    each!(tally, echo.signed16(by value) i16::MIN, i16::MAX);
    each!(tally, echo.signed32(by value) i32::MIN, i32::MAX);
    each!(tally, echo.signed64(by value) i64::MIN, i64::MAX);
    each!(tally, echo.float32(by value) 0.1, f32::MIN, f32::INFINITY);
    each!(tally, echo.float64(by value) 0.1, f64::MAX, f64::NEG_INFINITY);
    each!(tally, echo.character(by value) 'a', '\u{0}', '\u{10ffff}');
    // A NaN is equal to nothing.
    let odd = echo.odd_floats()?;
    tally.same(
        "odd-floats",
        &(true, true, f64::INFINITY, f64::NEG_INFINITY),
        &(
            odd[0].is_nan(),
            odd[1].is_nan(),
            odd[2].abs(),
            -odd[3].abs(),
        ),
    );
    Ok(())
}

fn compounds(echo: &Ref, tally: &mut Tally) -> Result<(), CallError> {
    let text = |text: &str| text.to_owned();
    each!(tally, echo.text text(""), text("ä\u{0}\u{1f980}\"\\"));
    each!(tally, echo.bytes vec![], vec![0_u8, 255]);
    each!(tally, echo.numbers vec![], vec![i64::MIN, 0, i64::MAX]);
    each!(tally, echo.texts vec![], vec![text(""), text("x")]);
    each!(tally, echo.lists vec![], vec![vec![], vec![1, u16::MAX]]);
    each!(tally, echo.maybe(by value) None, Some(0));
    each!(tally, echo.maybe_maybe(by value) None, Some(None), Some(Some(7)));
    let triple = (9, text("t"), true);
    let back = echo.triple((triple.0, &triple.1, triple.2))?;
    tally.same("triple", &triple, &back);
    let thrice = Some(Some(None::<String>));
    let back = echo.maybe_thrice(
        thrice
            .as_ref()
            .map(|inner| inner.as_ref().map(|text| text.as_deref())),
    )?;
    tally.same("maybe-thrice", &thrice, &back);
    let back = echo.several(1, "two", Some(false))?;
    tally.same("several", &(1, text("two"), Some(false)), &back);
    each!(tally, echo.maybe_outcome(by value) None, Some(Ok(1)), Some(Err(2)));
    echo.nothing()
}

fn inner(id: u64) -> Inner {
    Inner {
        id,
        tag: id.is_multiple_of(2).then(|| format!("tag {id}")),
    }
}

fn named(echo: &Ref, tally: &mut Tally) -> Result<(), CallError> {
    each!(tally, echo.a_record Outer {
        first_name: "Ada".to_owned(),
        inner: inner(u64::MAX),
        more: vec![inner(1), inner(2)],
        pair: (inner(3), Color::DarkGreen),
        maybe: Some(None),
    });
    each!(tally, echo.a_variant
        Shape::Nothing,
        Shape::Circle(1.5),
        Shape::Rectangle((0.0, -1.0)),
        Shape::Named(inner(4)),
        Shape::Many(vec!["a".to_owned(), String::new()]),
        Shape::Maybe(None),
        Shape::Maybe(Some(1)),
        Shape::Outcome(Ok(2)),
        Shape::Outcome(Err("no".to_owned()))
    );
    each!(tally, echo.an_enum(by value) Color::Red, Color::DarkGreen);
    each!(tally, echo.some_flags(by value) Rights::empty(), Rights::READ | Rights::LOOK_AROUND, Rights::all());
    each!(tally, echo.many_flags(by value) Many::empty(), Many::F0 | Many::F31, Many::all());
    let back = echo.two_records(&inner(5), &inner(6))?;
    tally.same("two-records", &vec![inner(5), inner(6)], &back);
    Ok(())
}

fn outcomes(echo: &Ref, tally: &mut Tally) -> Result<(), CallError> {
    each!(tally, echo.outcomes vec![Ok(1), Err("no".to_owned())]);
    each!(tally, echo.empty_outcomes vec![Ok(()), Err(())]);
    each!(tally, echo.half_outcomes vec![Ok(()), Err(Color::Red)]);
    match echo.outcome(Ok(&inner(7))) {
        Ok(back) => tally.same("outcome", &inner(7), &back),
        Err(ShapeOrCall::App(_)) => tally.changed.push("outcome: ok".to_owned()),
        Err(ShapeOrCall::Call(error)) => return Err(error),
    }
    match echo.outcome(Err(&Shape::Named(inner(8)))) {
        Err(ShapeOrCall::App(back)) => tally.same("outcome", &Shape::Named(inner(8)), &back),
        Ok(_) => tally.changed.push("outcome: err".to_owned()),
        Err(ShapeOrCall::Call(error)) => return Err(error),
    }
    match echo.ok_or_color(Some(Color::DarkGreen)) {
        Err(ColorOrCall::App(back)) => tally.same("ok-or-color", &Color::DarkGreen, &back),
        Ok(()) => tally.changed.push("ok-or-color".to_owned()),
        Err(ColorOrCall::Call(error)) => return Err(error),
    }
    match echo.only_ok(None) {
        Err(NoneOrCall::App) => tally.same("only-ok", &(), &()),
        Ok(_) => tally.changed.push("only-ok".to_owned()),
        Err(NoneOrCall::Call(error)) => return Err(error),
    }
    match echo.only_ok(Some(9)) {
        Ok(back) => tally.same("only-ok", &9, &back),
        Err(NoneOrCall::App) => tally.changed.push("only-ok: ok".to_owned()),
        Err(NoneOrCall::Call(error)) => return Err(error),
    }
    Ok(())
}
