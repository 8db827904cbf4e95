//! Opcodes that name classes and functions, and would call them.

use super::super::error::{Fault, Parse};
use super::arena::EMPTY_TUPLE;
use super::machine::Machine;
use super::opcodes::Op;
use super::value::{Call, Coding, Global, Id, More, Object, Pickle, Value};

/// Longest name of a module or class.
const MAX_GLOBAL: u64 = 512;

impl Machine {
    pub(super) fn object(&mut self, op: Op) -> Parse<()> {
        match op {
            Op::Global => {
                let global = self.named_by_lines()?;
                self.push_global(global)
            }
            Op::StackGlobal => self.named_by_stack(),
            Op::Inst => {
                let global = self.named_by_lines()?;
                let class = self.arena.global(global)?;
                let args = self.pop_to_mark()?;
                self.instance(class, &args)
            }
            Op::Obj => {
                let above = self.pop_to_mark()?;
                let (&class, args) = above
                    .split_first()
                    .ok_or_else(|| Fault::corrupt("no class above the MARK"))?;
                self.instance(class, args)
            }
            Op::Reduce => {
                let [callable, args] = self.pop_array()?;
                self.call(Call::Reduce, callable, args, None)
            }
            Op::NewObj => {
                let [class, args] = self.pop_array()?;
                self.call(Call::New, class, args, None)
            }
            Op::NewObjEx => {
                let [class, args, kwargs] = self.pop_array()?;
                self.call(Call::New, class, args, Some(kwargs))
            }
            Op::Build => {
                let state = self.pop()?;
                let object = self.top()?;
                self.arena.build(object, state)
            }
            Op::PersId => {
                let (start, len) = self.input.line()?;
                let run = self.text(start, len, Coding::Utf8)?;
                let id = self.arena.push(Value::Text(run))?;
                self.push_new(Value::Persistent(id))
            }
            Op::BinPersId => {
                let id = self.pop()?;
                match module_class(&self.arena.pickle, id) {
                    Some(class) => {
                        self.push(class);
                        Ok(())
                    }
                    None => self.push_new(Value::Persistent(id)),
                }
            }
            _ => self.extension(op),
        }
    }

    fn named_by_lines(&mut self) -> Parse<Global> {
        let mut line = || {
            let bytes = self.input.short_line(MAX_GLOBAL)?;
            String::from_utf8(bytes)
                .map_err(|_| Fault::corrupt("the name of a class that is not UTF-8"))
        };
        Ok(Global {
            module: line()?,
            name: line()?,
        })
    }

    fn named_by_stack(&mut self) -> Parse<()> {
        let [module, name] = self.pop_array()?;
        let text = |id| match self.arena.pickle.text(id) {
            Some(text) if text.len() as u64 <= MAX_GLOBAL => Ok(text.into_owned()),
            _ => Err(Fault::corrupt(
                "a class named by something that is no short text",
            )),
        };
        let (module, name) = (text(module)?, text(name)?);
        self.push_global(Global { module, name })
    }

    fn push_global(&mut self, global: Global) -> Parse<()> {
        let id = self.arena.global(global)?;
        self.push(id);
        Ok(())
    }

    fn instance(&mut self, class: Id, args: &[Id]) -> Parse<()> {
        let args = match args {
            [] => EMPTY_TUPLE,
            _ => self.arena.push(Value::Tuple(args.into()))?,
        };
        self.call(Call::Instance, class, args, None)
    }

    fn call(&mut self, call: Call, callable: Id, args: Id, kwargs: Option<Id>) -> Parse<()> {
        let is = |id: Id, fits: fn(&Value) -> bool, what: &str| match self.arena.pickle.value(id) {
            value if fits(value) => Ok(()),
            other => Err(Fault::corrupt(format!(
                "{} where {what} is expected; the pickle is damaged",
                other.kind()
            ))),
        };
        let callable_fits = |value: &Value| matches!(value, Value::Global(_) | Value::Object(_));
        is(callable, callable_fits, "a class or function")?;
        let args_fit = |value: &Value| matches!(value, Value::Tuple(_) | Value::Object(_));
        is(args, args_fit, "a tuple of arguments")?;
        if let Some(kwargs) = kwargs {
            let kwargs_fit = |value: &Value| matches!(value, Value::Dict(_) | Value::Object(_));
            is(kwargs, kwargs_fit, "a dict of arguments")?;
        }
        let more = kwargs.map(|kwargs| {
            Box::new(More {
                kwargs: Some(kwargs),
                ..More::default()
            })
        });
        self.push_new(Value::Object(Box::new(Object {
            call,
            callable,
            args,
            more,
        })))
    }

    /// Numbers of a registry that only the writing program has.
    fn extension(&mut self, op: Op) -> Parse<()> {
        let code = match op {
            Op::Ext1 => i64::from(self.input.byte()?),
            Op::Ext2 => i64::from(u16::from_le_bytes(self.input.array()?)),
            _ => i64::from(i32::from_le_bytes(self.input.array()?)),
        };
        Err(Fault::hostile(format!(
            "extension code {code} stands for a class or function that only the program which wrote \
             the file knows; no checkpoint needs that"
        )))
    }
}

/// The class in `('module', class, file, source)`, by which torch's legacy format names the
/// classes of models.
fn module_class(pickle: &Pickle, id: Id) -> Option<Id> {
    let &[tag, class, _, _] = pickle.items(id)? else {
        return None;
    };
    let is_module = pickle.text(tag).is_some_and(|tag| tag == "module");
    (is_module && pickle.global(class).is_some()).then_some(class)
}
