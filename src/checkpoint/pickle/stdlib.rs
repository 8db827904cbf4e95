//! The names of Python's standard library, and which of them are plain data.
//!
//! Source: `sys.stdlib_module_names` of CPython 3.11 and 3.14, and Python 2.7's library index.

/// Top-level modules of Python 2.7 and 3.0 to 3.14, sorted.
const MODULES: &str = "
    BaseHTTPServer Bastille Bastion CGIHTTPServer ConfigParser Cookie Dialog HTMLParser MimeWriter
    Queue ScrolledText SimpleHTTPServer SocketServer StringIO Tkinter UserDict UserList UserString
    __builtin__ __future__ _abc _aix_support _android_support _apple_support _ast _ast_unparse
    _asyncio _bisect _blake2 _bootlocale _bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk
    _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _colorize
    _compat_pickle _compression _contextvars _crypt _csv _ctypes _curses _curses_panel _datetime
    _dbm _decimal _dummy_thread _dummy_threading _elementtree _frozen_importlib
    _frozen_importlib_external _functools _gdbm _hashlib _heapq _hmac _imp _interpchannels
    _interpqueues _interpreters _io _ios_support _json _locale _lsprof _lzma _markupbase _md5 _msi
    _multibytecodec _multiprocessing _opcode _opcode_metadata _operator _osx_support _overlapped
    _pickle _posixshmem _posixsubprocess _py_abc _py_warnings _pydatetime _pydecimal _pyio _pylong
    _pyrepl _queue _random _remote_debugging _scproxy _sha1 _sha2 _sha256 _sha3 _sha512 _signal
    _sitebuiltins _socket _sqlite3 _sre _ssl _stat _statistics _string _strptime _struct
    _suggestions _symtable _sysconfig _testcapi _testinternalcapi _thread _threading_local
    _tkinter _tokenize _tracemalloc _types _typing _uuid _warnings _weakref _weakrefset _winapi
    _xxinterpchannels _xxsubinterpreters _zoneinfo _zstd abc aifc annotationlib antigravity anydbm
    argparse array ast asynchat asyncio asyncore atexit audiodev audioop base64 bdb binascii
    binhex bisect bsddb builtins bz2 cPickle cProfile cStringIO calendar cgi cgitb chunk cmath cmd
    code codecs codeop collections colorsys commands compileall compiler compression concurrent
    configparser contextlib contextvars cookielib copy copy_reg copyreg crypt csv ctypes curses
    dataclasses datetime dbhash dbm decimal difflib dircache dis distutils dl doctest dospath
    dumbdbm dummy_threading email encodings ensurepip enum errno exceptions faulthandler fcntl
    filecmp fileinput fnmatch formatter fpformat fractions ftplib functools future_builtins gc
    genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac hotshot html
    htmlentitydefs htmllib http httplib idlelib ihooks imaplib imghdr imp importlib imputil
    inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma macpath
    macurl2path mailbox mailcap marshal math md5 mimetools mimetypes mimify mmap modulefinder
    msilib msvcrt multifile multiprocessing mutex netrc new nis nntplib nt ntpath nturl2path
    numbers opcode operator optparse os os2emxpath ossaudiodev parser pathlib pdb pickle
    pickletools pipes pkgutil platform plistlib popen2 poplib posix posixfile posixpath pprint
    profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re
    readline repr reprlib resource rexec rfc822 rlcompleter robotparser runpy sched secrets select
    selectors sets sgmllib sha shelve shlex shutil signal site smtpd smtplib sndhdr socket
    socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics statvfs
    string stringold stringprep strop struct subprocess sunau sunaudio symbol symtable sys
    sysconfig syslog tabnanny tarfile telnetlib tempfile termios test textwrap this thread
    threading time timeit tkFileDialog tkinter toaiff token tokenize tomllib trace traceback
    tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib urllib2 urlparse
    user uu uuid venv warnings wave weakref webbrowser whichdb winreg winsound wsgiref xdrlib xml
    xmllib xmlrpc xmlrpclib zipapp zipfile zipimport zlib zoneinfo
";

/// Whether `top` is a module of the standard library.
pub fn is_module(top: &str) -> bool {
    MODULES.split_whitespace().any(|module| module == top)
}

/// Types that hold data and do nothing: module, names (`*`: all of them).
pub const DATA: &[(&str, &[&str])] = &[
    ("_codecs", &["encode"]),
    ("_collections", &["OrderedDict", "defaultdict", "deque"]),
    (
        "_datetime",
        &["date", "datetime", "time", "timedelta", "timezone"],
    ),
    ("_decimal", &["Decimal"]),
    ("_io", &["BytesIO", "StringIO"]),
    ("_random", &["Random"]),
    ("argparse", &["Namespace"]),
    ("array", &["_array_reconstructor", "array"]),
    ("builtins", BUILTINS),
    ("collections", COLLECTIONS),
    ("collections.abc", &["*"]),
    (
        "copyreg",
        &["__newobj__", "__newobj_ex__", "_reconstructor"],
    ),
    (
        "datetime",
        &["date", "datetime", "time", "timedelta", "timezone"],
    ),
    (
        "decimal",
        &["Context", "Decimal", "ROUND_HALF_EVEN", "ROUND_HALF_UP"],
    ),
    (
        "enum",
        &[
            "Enum", "EnumMeta", "EnumType", "Flag", "IntEnum", "IntFlag", "StrEnum", "auto",
        ],
    ),
    ("exceptions", &["*"]),
    ("fractions", &["Fraction"]),
    ("functools", &["partial"]),
    (
        "inspect",
        &["Parameter", "Signature", "_ParameterKind", "_empty"],
    ),
    ("io", &["BytesIO", "StringIO"]),
    (
        "ipaddress",
        &["IPv4Address", "IPv4Network", "IPv6Address", "IPv6Network"],
    ),
    (
        "itertools",
        &["chain", "count", "cycle", "islice", "repeat"],
    ),
    ("logging", &["Logger", "RootLogger", "getLogger"]),
    ("math", &["*"]),
    (
        "numbers",
        &["Complex", "Integral", "Number", "Rational", "Real"],
    ),
    ("optparse", &["Values"]),
    ("pathlib", PATHS),
    ("pathlib._local", PATHS),
    ("random", &["Random"]),
    ("re", &["_compile"]),
    ("time", &["struct_time"]),
    (
        "types",
        &[
            "GenericAlias",
            "MappingProxyType",
            "NoneType",
            "SimpleNamespace",
            "UnionType",
        ],
    ),
    ("typing", TYPING),
    ("uuid", &["SafeUUID", "UUID"]),
    ("zoneinfo", &["ZoneInfo", "ZoneInfo._unpickle"]),
];

const BUILTINS: &[&str] = &[
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BaseException",
    "Ellipsis",
    "EOFError",
    "Exception",
    "False",
    "FileNotFoundError",
    "IOError",
    "ImportError",
    "IndexError",
    "KeyError",
    "KeyboardInterrupt",
    "MemoryError",
    "NameError",
    "None",
    "NoneType",
    "NotImplemented",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "RuntimeError",
    "RuntimeWarning",
    "StopIteration",
    "SystemExit",
    "True",
    "TypeError",
    "UnicodeDecodeError",
    "UserWarning",
    "ValueError",
    "Warning",
    "ZeroDivisionError",
    "abs",
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "len",
    "list",
    "long",
    "max",
    "min",
    "object",
    "range",
    "round",
    "set",
    "slice",
    "str",
    "sum",
    "tuple",
    "type",
    "unicode",
    "xrange",
];

const COLLECTIONS: &[&str] = &[
    "ChainMap",
    "Counter",
    "OrderedDict",
    "UserDict",
    "UserList",
    "UserString",
    "defaultdict",
    "deque",
    "namedtuple",
];

const PATHS: &[&str] = &[
    "Path",
    "PosixPath",
    "PurePath",
    "PurePosixPath",
    "PureWindowsPath",
    "WindowsPath",
];

const TYPING: &[&str] = &[
    "AbstractSet",
    "Any",
    "AnyStr",
    "Callable",
    "ClassVar",
    "Dict",
    "Final",
    "FrozenSet",
    "Generic",
    "Hashable",
    "Iterable",
    "Iterator",
    "List",
    "Literal",
    "Mapping",
    "MutableMapping",
    "MutableSequence",
    "NamedTuple",
    "NewType",
    "NoReturn",
    "Optional",
    "OrderedDict",
    "Protocol",
    "Sequence",
    "Set",
    "Sized",
    "Text",
    "Tuple",
    "Type",
    "TypeVar",
    "TypedDict",
    "Union",
    "_GenericAlias",
    "_SpecialForm",
    "_UnionGenericAlias",
];
