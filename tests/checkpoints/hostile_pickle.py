"""Hostile pickles: names that run code by every opcode that can name one, bombs, lies, broken streams."""

import io
import pickle
import pickletools
import struct

from common import array

REFUSED = {"expect": "refused"}

# Functions and classes that only an attack names in a file of weights: whatever of Python's own
# library is not plain data, and what scanners have learnt to look for in other packages.
GADGETS = """
os.system os.popen os.execv os.spawnv os.remove os.putenv posix.system posix.fork posix.execve nt.system nt.startfile
subprocess.Popen subprocess.run subprocess.call subprocess.check_output subprocess.getoutput _posixsubprocess.fork_exec
builtins.eval builtins.exec builtins.compile builtins.getattr builtins.setattr builtins.__import__ builtins.open
builtins.globals builtins.vars builtins.breakpoint builtins.input builtins.map builtins.type builtins.delattr
__builtin__.eval __builtin__.execfile __builtin__.apply __builtin__.file __builtin__.getattr __builtin__.reload
commands.getoutput popen2.popen3 pty.spawn platform.popen shutil.rmtree shutil.move shutil.copy
importlib.import_module importlib.reload importlib._bootstrap._load imp.load_source imp.load_dynamic
runpy.run_path runpy.run_module runpy._run_code pkgutil.resolve_name pkgutil.get_data zipimport.zipimporter
operator.attrgetter operator.methodcaller operator.itemgetter _operator.attrgetter functools.reduce itertools.starmap
marshal.loads marshal.load pickle.loads pickle.load _pickle.loads cPickle.loads shelve.open dbm.open copyreg.add_extension
types.CodeType types.FunctionType types.MethodType ctypes.CDLL ctypes.cdll.LoadLibrary ctypes.pythonapi _ctypes.dlopen
code.interact code.InteractiveInterpreter codeop.compile_command bdb.Bdb pdb.run pdb.set_trace cProfile.run profile.run
timeit.timeit timeit.main trace.Trace doctest.debug_script pydoc.pipepager pydoc.locate pydoc.render_doc unittest.main
asyncio.create_subprocess_shell asyncio.run asyncio.unix_events._UnixSubprocessTransport._start asyncio.get_event_loop
socket.socket socket.create_connection ssl.create_default_context socketserver.TCPServer http.client.HTTPSConnection
http.server.HTTPServer urllib.request.urlopen urllib.request.urlretrieve urllib.urlopen urllib2.urlopen httplib.HTTPConnection
ftplib.FTP smtplib.SMTP telnetlib.Telnet poplib.POP3 imaplib.IMAP4 xmlrpc.client.ServerProxy webbrowser.open
io.open io.FileIO _io.FileIO _io.open codecs.open linecache.getline fileinput.input tempfile.NamedTemporaryFile mmap.mmap
tarfile.open zipfile.ZipFile gzip.open bz2.open lzma.open sqlite3.connect _sqlite3.connect logging.config.fileConfig logging.FileHandler
threading.Thread _thread.start_new_thread multiprocessing.Process multiprocessing.util.spawnv_passfds concurrent.futures.ProcessPoolExecutor
sched.scheduler signal.signal atexit.register weakref.finalize sys.exit sys.settrace sys.setprofile gc.get_objects inspect.getsource
_interpreters.run_string _xxsubinterpreters.run_string _xxinterpchannels.create concurrent.interpreters.create
venv.create ensurepip._run_pip ensurepip.bootstrap idlelib.run.Executive lib2to3.pgen2.grammar.Grammar.loads
distutils.file_util.write_file distutils.spawn.spawn distutils.core.run_setup site.addsitedir
_aix_support._read_cmd_output _osx_support._read_output _pyrepl.pager.pipe_pager antigravity.geohash turtle.Turtle tkinter.Tk
test.support.script_helper.assert_python_ok _testcapi.run_in_subinterp curses.wrapper readline.read_init_file crypt.crypt pwd.getpwall
string.Formatter ast.literal_eval tokenize.open py_compile.compile compileall.compile_dir symtable.symtable
pip.main pip._internal.main pip._internal.cli.main.main setuptools.sandbox.run_setup setuptools._distutils.file_util.write_file
numpy.f2py.crackfortran.getlincoef numpy.f2py.diagnose.run_command numpy.f2py.compile numpy.testing._private.utils.runstring
numpy.testing.runstring numpy.distutils.exec_command.exec_command numpy.load numpy.fromfile numpy.save numpy.lib.npyio.load numpy.fromregex
torch.load torch.save torch.hub.load torch.hub.load_state_dict_from_url torch.hub.download_url_to_file torch.jit.load torch.jit.unsupported_tensor_ops.execWrapper
torch._inductor.codecache.compile_file torch.utils.collect_env.run torch.utils.bottleneck.__main__.run_cprofile
torch.utils._config_module.ConfigModule.load_config torch.utils.cpp_extension.load torch.utils.cpp_extension.load_inline
torch.fx.experimental.symbolic_shapes.ShapeEnv.evaluate_guards_expression torch.distributed.rpc.internal._internal_rpc_pickler.deserialize
torch.serialization.load torch.multiprocessing.spawn torch.ops.load_library torch.classes.load_library torch._dynamo.guards.GuardBuilder.get
dill.loads dill._dill._create_function dill._dill._import_module dill._dill._create_code cloudpickle.loads cloudpickle.cloudpickle._make_function
cloudpickle.cloudpickle._builtin_type joblib.load joblib.numpy_pickle.load jsonpickle.decode
cffi.FFI requests.get requests.api.post aiohttp.client.ClientSession httpx.get pandas.read_pickle pandas.eval sympy.sympify yaml.unsafe_load
""".split()  # fmt: skip

# What a name found through attributes of a harmless one looks like.
DOTTED = [
    ("os", "path.os.system"), ("numpy", "prod.a"), ("numpy", "f2py.os.system"), ("torch", "serialization.os.system"),
    ("collections", "OrderedDict.fromkeys.__self__.__subclasses__"), ("collections", "abc.sys.modules"),
    ("torch.nn", "Module.__init__.__globals__"), ("numpy", "core.multiarray.os"), ("builtins", "object.__reduce_ex__"),
    ("builtins", "str.format"), ("torch", "_utils.__builtins__.eval"), ("numpy", "ndarray.tofile"), ("argparse", "Namespace.__class__"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"),
]  # fmt: skip


def weights(protocol=2):
    """Opcodes that push an array, without memo, so that they may stand anywhere."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, protocol)
    pickler.fast = True
    pickler.dump(array("<f4", (3, 2), "hostile"))
    data = stream.getvalue()
    return data[2:-1]


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def global_(module, name):
    return f"c{module}\n{name}\n".encode()


def short(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


ARGS = text("echo hostile")

# Every way in which a stream can name a global; most call it too.
FORMS = {
    "global": lambda m, n: global_(m, n),
    "reduce": lambda m, n: global_(m, n) + b"(" + ARGS + b"tR",
    "stack_global": lambda m, n: short(m) + short(n) + b"\x93" + ARGS + b"\x85R",
    "inst": lambda m, n: b"(" + ARGS + f"i{m}\n{n}\n".encode(),
    "obj": lambda m, n: b"(" + global_(m, n) + ARGS + b"o",
    "newobj": lambda m, n: global_(m, n) + ARGS + b"\x85\x81",
    "newobj_ex": lambda m, n: global_(m, n) + ARGS + b"\x85}\x92",
    "build": lambda m, n: global_(m, n) + b")\x81}(" + text("x") + ARGS + b"ub",
    "build_slots": lambda m, n: global_(m, n) + b")\x81N}(" + text("x") + ARGS + b"u\x86b",
    "build_on_global": lambda m, n: global_(m, n) + b"}(" + text("x") + ARGS + b"ub",
    "reduce_arguments": lambda m, n: global_("collections", "OrderedDict") + b"(" + global_(m, n) + b"tR",
    "stack_global_memo": lambda m, n: short(m) + b"\x940" + short(n) + b"\x940h\x00h\x01\x93" + ARGS + b"\x85R",
    "stack_global_put": lambda m, n: text(m) + b"p77\n0" + text(n) + b"r\x4e\x00\x00\x000g77\nj\x4e\x00\x00\x00\x93)R",
    "stack_global_dup": lambda m, n: short(m) + b"20" + short(n) + b"20\x93" + ARGS + b"\x85R",
    "stack_global_unicode": lambda m, n: b"V" + m.encode() + b"\nV" + n.encode() + b"\n\x93" + ARGS + b"\x85R",
    "stack_global_escapes": lambda m, n: b"V" + b"".join(b"\\u%04x" % ord(c) for c in m) + b"\nV" + n.encode() + b"\n\x93)R",
    "stack_global_8": lambda m, n: b"\x8d" + struct.pack("<Q", len(m)) + m.encode() + short(n) + b"\x93)R",
    "stack_global_string": lambda m, n: f"S'{m}'\nS'{n}'\n".encode() + b"\x93" + ARGS + b"\x85R",
    "stack_global_binstring": lambda m, n: b"U" + bytes([len(m)]) + m.encode() + b"T" + struct.pack("<i", len(n)) + n.encode() + b"\x93)R",
    "stack_global_hex": lambda m, n: b"S'" + b"".join(b"\\x%02x" % ord(c) for c in m) + b"'\n" + short(n) + b"\x93)R",
    "in_list": lambda m, n: b"](" + text("a") + global_(m, n) + b"e",
    "in_set": lambda m, n: b"\x8f(" + global_(m, n) + b"\x90",
    "in_frozenset": lambda m, n: b"(" + global_(m, n) + b"\x91",
    "persistent_id": lambda m, n: b"(" + text("storage") + global_(m, n) + b"tQ",
    "through_getattr": lambda m, n: global_("builtins", "getattr") + b"(" + global_(m, n) + text("x") + b"tR",
    "through_partial": lambda m, n: global_("functools", "partial") + b"(" + global_(m, n) + b"tR",
    "through_map": lambda m, n: global_("builtins", "map") + b"(" + global_(m, n) + b"](" + ARGS + b"etR",
    "reconstructor": lambda m, n: global_("copy_reg", "_reconstructor") + b"(" + global_(m, n) + global_("__builtin__", "object") + b"NtR",
    "newobj_function": lambda m, n: global_("copyreg", "__newobj__") + b"(" + global_(m, n) + b"tR",
    "numpy_subtype": lambda m, n: global_("numpy.core.multiarray", "_reconstruct") + b"(" + global_(m, n) + b"(K\x00tc_codecs\nencode\n(X\x01\x00\x00\x00bX\x06\x00\x00\x00latin1tRtR",
    "tensor_type": lambda m, n: global_("torch._tensor", "_rebuild_from_type_v2") + b"(" + global_(m, n) + b")NtR",
    "defaultdict_factory": lambda m, n: global_("collections", "defaultdict") + global_(m, n) + b"\x85R",
    "next_to_frame": lambda m, n: b"\x95" + struct.pack("<Q", len(global_(m, n))) + global_(m, n),
    "crlf": lambda m, n: f"c{m}\n{n}\n".encode() + b")R",
}  # fmt: skip

# Where in the file of weights it stands.
PLACES = {
    "value": lambda p: b"\x80\x04}(" + text("w") + weights() + text("x") + p + b"u.",
    "popped": lambda p: b"\x80\x04}(" + text("w") + weights() + p + b"0u.",
    "first_and_popped": lambda p: b"\x80\x04" + p + b"0}(" + text("w") + weights() + b"u.",
    "popped_with_mark": lambda p: b"\x80\x04(" + p + b"1}(" + text("w") + weights() + b"u.",
    "key": lambda p: b"\x80\x04}(" + text("w") + weights() + p + b"Nu.",
    "nested": lambda p: b"\x80\x04}(" + text("state_dict") + b"}(" + text("w") + weights() + b"u" + text("hyper_parameters") + b"}" + text("cfg") + b"](" + p + b"esu.",
    "alone": lambda p: b"\x80\x04" + p + b".",
    "before_broken_tail": lambda p: b"\x80\x04}(" + text("w") + weights() + text("x") + p + b"\xff\xff",
    "before_the_end_is_cut": lambda p: b"\x80\x04}(" + text("w") + weights() + text("x") + p,
    "without_proto": lambda p: b"}(" + text("w") + weights() + text("x") + p + b"u.",
    "in_opaque": lambda p: b"\x80\x04}(" + text("w") + weights() + text("x") + global_("my.module", "Thing") + b")\x81}" + text("f") + p + b"sbu.",
    "overwritten": lambda p: b"\x80\x04}(" + text("w") + p + text("w") + weights() + b"u.",
}  # fmt: skip


def global_cases(add):
    names = list(FORMS)
    simple = ["reduce", "stack_global", "inst", "obj", "newobj", "global", "build", "newobj_ex", "persistent_id", "in_list"]
    for index, gadget in enumerate(GADGETS):
        module, name = gadget.rsplit(".", 1)
        for step, place in enumerate(("value", "popped")):
            form = simple[(index + step * 3) % len(simple)]
            says = gadget
            add(f"globals/{gadget}-{form}-{place}.pkl", PLACES[place](FORMS[form](module, name)), kinds=["Hostile"], says=[says])
    for gadget in ("os.system", "builtins.eval", "subprocess.Popen", "torch.hub.load"):
        module, name = gadget.rsplit(".", 1)
        for form in names:
            place = "value" if gadget != "builtins.eval" else "popped"
            if form == "next_to_frame":
                data = b"\x80\x04" + FORMS[form](module, name) + b"0}(" + text("w") + weights() + b"u."
            else:
                data = PLACES[place](FORMS[form](module, name))
            # A function that wraps the gadget may be what is named first.
            add(f"forms/{form}-{gadget}.pkl", data, kinds=["Hostile"])
    for place, wrap in PLACES.items():
        for gadget in ("posix.system", "builtins.exec", "pip.main"):
            module, name = gadget.rsplit(".", 1)
            for form in ("reduce", "stack_global"):
                add(f"places/{place}-{form}-{gadget}.pkl", wrap(FORMS[form](module, name)), kinds=["Hostile"], says=[gadget])
    for module, name in DOTTED:
        data = PLACES["value"](FORMS["stack_global"](module, name))
        add(f"dotted/{module}-{name}.pkl", data, kinds=["Hostile"])
    for code, data in {"ext1": b"\x82\x01", "ext2": b"\x83\x01\x01", "ext4": b"\x84\x01\x01\x01\x01", "ext1_zero": b"\x82\x00", "ext4_negative": b"\x84\xff\xff\xff\xff"}.items():
        add(f"forms/{code}.pkl", PLACES["value"](data))
        add(f"forms/{code}_popped.pkl", PLACES["popped"](data))
    nested = pickle.dumps({"w": array("<f4", (2,), 1)}, 0)[:-1]
    add("forms/second_pickle_calls.pkl", b"\x80\x02N0" + global_("pickle", "loads") + b"(" + text(nested.decode("latin-1")) + b"tR.", kinds=["Hostile"])


def bomb_cases(add):
    key, w = text("x"), weights()
    front, end = b"\x80\x04}(" + text("w") + w, b"u."

    def beside(name, payload, **facts):
        add(f"bombs/{name}.pkl", front + key + payload + end, **facts)

    # Each level holds the one below twice: short to write, endless to walk.
    for depth in (20, 30, 60, 1000):
        beside(f"lists-{depth}", b"](" + w + b"e\x94" + b"".join(b"0](j" + u32(i) + b"j" + u32(i) + b"e\x94" for i in range(depth)))
        beside(f"dicts-{depth}", b"}" + text("t") + w + b"s\x94" + b"".join(b"0}(" + text("a") + b"j" + u32(i) + text("b") + b"j" + u32(i) + b"u\x94" for i in range(depth)))
        beside(f"tuples-{depth}", w + b"\x85" + b"2\x86" * depth)
        beside(f"plain-lists-{depth}", b"]\x94" + b"".join(b"0](j" + u32(i) + b"j" + u32(i) + b"e\x94" for i in range(depth)))
        beside(f"strings-{depth}", text("lol") + b"\x85" + b"2\x86" * depth)
    beside("wide-lists", b"](" + w + b"e\x94" + b"".join(b"0](" + (b"j" + u32(i)) * 100 + b"e\x94" for i in range(6)))
    # What holds itself is no bomb where only its first round is walked.
    beside("self-list", b"]\x94h\x00a", expect="survives")
    beside("self-dict", b"}\x94" + text("me") + b"h\x00s", expect="survives")
    beside("self-dict-with-tensor", b"}\x94(" + text("t") + w + text("me") + b"h\x00u", expect="survives")
    beside("two-lists", b"]\x940]\x94h\x00ah\x00h\x01a", expect="survives")
    beside("self-tuple", b"]\x94h\x00\x85a", expect="survives")
    beside("self-state", global_("my.module", "Thing") + b")\x81\x94}" + text("me") + b"h\x00sb", expect="survives")
    for name, opening in {"lists": b"](", "plain_lists": b"]", "dicts": b"}" + text("k"), "tuples": b"(", "sets": b"\x8f("}.items():
        closing = {"lists": b"e", "plain_lists": b"a", "dicts": b"s", "tuples": b"t", "sets": b"\x90"}[name]
        for depth in (200, 20000):
            beside(f"deep-{name}-{depth}", opening * depth + b"N" + closing * depth)
    add("bombs/deep-marks.pkl", b"\x80\x04" + b"N.", repeat=[[2, b"(".hex(), 3_000_000]], expect="survives")
    add("bombs/deep-lists-unclosed.pkl", b"\x80\x04" + b".", repeat=[[2, b"]".hex(), 3_000_000]])
    add("bombs/deep-tuples.pkl", b"\x80\x04)" + b".", repeat=[[3, b"\x85".hex(), 3_000_000]])
    add("bombs/deep-lists.pkl", b"\x80\x04]" + b".", repeat=[[3, b"]".hex(), 1_000_000]], expect="survives")
    add("bombs/deep-appends.pkl", b"\x80\x04].", repeat=[[3, b"]".hex(), 1_000_000], [3, b"a".hex(), 1_000_000]])
    add("bombs/deep-persistent.pkl", b"\x80\x04N.", repeat=[[3, b"Q".hex(), 1_000_000]])
    add("bombs/deep-builds.pkl", b"\x80\x04" + global_("a", "b") + b".", repeat=[[2 + 5, b"Nb".hex(), 1_000_000]], expect="any")
    add("bombs/deep-reduces.pkl", b"\x80\x04" + global_("a", "b") + b".", repeat=[[2 + 5, b")R".hex(), 1_000_000]])
    # One long text many times: little to read, gigabytes to list.
    long = "n" * 100_000
    beside("long-string-often", b"](" + text("n") + b"\x940" + b"e", expect="any")
    add("bombs/value-repeated.pkl", b"\x80\x04}(" + text("w") + w + key + b"](" + text(long) + b"\x94eu.", repeat=[[len(b"\x80\x04}(" + text("w") + w + key + b"](" + text(long) + b"\x94"), b"h\x00".hex(), 200_000]])
    names = b"".join(text("n" * 3000 + str(i)) + w for i in range(20))
    shared = b"".join(b"K" + bytes([i]) + b"h\x00" for i in range(200))
    add("bombs/long-names-shared.pkl", b"\x80\x04}(" + names + b"u\x940}(" + shared + b"u\x94" + b"0}(" + shared.replace(b"h\x00", b"h\x01") + b"u.")
    add("bombs/name-too-long.pkl", b"\x80\x04}" + text("n" * 100_000) + w + b"s.")
    add("bombs/name-by-depth.pkl", b"\x80\x04" + (b"}" + text("n" * 900)) * 60 + w + b"s" * 60 + b".")
    add("bombs/memo-of-all-sizes.pkl", front + key + b"N" + b"".join(b"r" + u32(i * 0x01010101) for i in range(256)) + end, expect="survives")
    add("bombs/memo-highest.pkl", front + key + b"Nr\xff\xff\xff\xffj\xff\xff\xff\xff0" + end, expect="survives")
    add("bombs/memo-text-index.pkl", front + key + b"Np" + b"9" * 4000 + b"\n" + end, expect="survives")
    add("bombs/memoize-often.pkl", front + key + b"N" + end, repeat=[[len(front + key + b"N"), b"\x94".hex(), 2_000_000]], expect="survives")
    add("bombs/none-often.pkl", b"\x80\x04.", repeat=[[2, b"N".hex(), 5_000_000]], expect="survives")
    add("bombs/list-of-none.pkl", front + key + b"](e" + end, repeat=[[len(front + key + b"]("), b"N".hex(), 5_000_000]], expect="survives")
    add("bombs/dict-often.pkl", front + key + b"](e" + end, repeat=[[len(front + key + b"]("), b"}".hex(), 3_000_000]], expect="survives")
    add("bombs/tensors-often.pkl", b"\x80\x04](" + w + b"\x94e.", repeat=[[len(b"\x80\x04](" + w + b"\x94"), b"h\x00".hex(), 500_000]])
    add("bombs/global-often.pkl", front + key + b"](e" + end, repeat=[[len(front + key + b"]("), global_("a", "b").hex(), 1_000_000]], expect="survives")
    add("bombs/proto-often.pkl", b"\x80\x04" + front + end, repeat=[[2, b"\x80\x04".hex(), 1_000_000]], expect="survives")
    add("bombs/frame-often.pkl", b"\x80\x04.", repeat=[[2, (b"\x95" + b"\0" * 8).hex(), 500_000]])


def trailing_cases(add):
    """Bytes after the pickle's end: Python stops before them, but a whole checkpoint has none."""
    for protocol in range(6):
        data = pickle.dumps({"w": array("<f4", (3, 2), "trailing")}, protocol)
        add(f"trailing/text-p{protocol}.pkl", data + b"\nrest")
        add(f"trailing/second-p{protocol}.pkl", data + data)
        add(f"trailing/half-p{protocol}.pkl", data + data[: len(data) // 2])
    data = pickle.dumps({"w": array("<f4", (3, 2), "trailing")}, 2)
    add("trailing/call.pkl", data + b"\x80\x02" + FORMS["reduce"]("os", "system") + b".")


def u32(value):
    return struct.pack("<I", value & 0xFFFFFFFF)


def length_cases(add):
    """Lengths and numbers that are not true."""
    u64 = lambda n: struct.pack("<Q", n)
    lies = {
        "binunicode-4g": b"X" + u32(0xFFFFFFFF), "binunicode-2g": b"X" + u32(0x7FFFFFFF) + b"x", "binunicode8-max": b"\x8d" + u64(2**64 - 1),
        "binunicode8-8e": b"\x8d" + u64(2**63), "binunicode8-1t": b"\x8d" + u64(1 << 40) + b"abc", "binbytes-4g": b"B" + u32(0xFFFFFFFF),
        "binbytes8-max": b"\x8e" + u64(2**64 - 1), "binbytes8-1t": b"\x8e" + u64(1 << 40), "bytearray8-max": b"\x96" + u64(2**64 - 1),
        "bytearray8-1t": b"\x96" + u64(1 << 40) + b"x", "binstring-negative": b"T" + u32(-1), "binstring-2g": b"T" + u32(0x7FFFFFFF),
        "long4-negative": b"\x8b" + u32(-1), "long4-2g": b"\x8b" + u32(0x7FFFFFFF), "long1-cut": b"\x8a\xff\x01", "short_binbytes-cut": b"C\xff",
        "short_binunicode-cut": b"\x8c\xffab", "short_binstring-cut": b"U\xffab", "frame-max": b"\x95" + u64(2**64 - 1),
        "frame-1t": b"\x95" + u64(1 << 40), "frame-past-end": b"\x95" + u64(100), "next_buffer": b"\x97", "readonly_buffer": b"N\x98",
        "int-not-a-number": b"Iabc\n", "int-empty": b"I\n", "int-endless": b"I" + b"1" * 100, "long-not-a-number": b"LxL\n", "float-not-a-number": b"Fx.y\n",
        "float-empty": b"F\n", "string-no-quotes": b"Sabc\n", "string-one-quote": b"S'\n", "string-open": b"S'abc\n", "string-mixed": b"S'abc\"\n",
        "string-bad-escape": b"S'\\x4'\n", "unicode-bad-escape": b"V\\u12\n", "unicode-endless": b"Vabc", "binunicode-not-utf8": b"X" + u32(2) + b"\xff\xfe",
        "short_binunicode-not-utf8": b"\x8c\x01\x80", "get-not-a-number": b"gx\n", "put-negative": b"Np-1\n", "get-missing": b"g5\n", "binget-missing": b"h\x05",
        "long_binget-missing": b"j" + u32(70000), "global-not-utf8": b"c\xff\n\xfe\n", "global-endless": b"cos", "global-no-name": b"cos\n", "global-empty": b"c\n\n",
        "inst-endless": b"(iabc\nd", "protocol-6": b"\x80\x06N", "protocol-255": b"\x80\xffN", "stack_global-numbers": b"K\x01K\x02\x93", "stack_global-one": b"\x8c\x01a\x93",
        "binfloat-cut": b"G\x00\x00", "frame-lies": b"\x95" + u64(3) + text("more than three bytes"),
    }  # fmt: skip
    for name, data in lies.items():
        survives = name in ("string-bad-escape", "frame-lies", "frame-past-end", "unicode-bad-escape")
        start = b"" if data[:1] == b"\x80" else b"\x80\x04"
        add(f"lengths/{name}.pkl", start + data + (b"" if "cut" in name or "endless" in name else b"."), expect="survives" if survives else "refused")
        beside = b"\x80\x04}(" + text("w") + weights() + text("x") + data + b"u."
        if not survives and "endless" not in name and "cut" not in name and "protocol" not in name:
            add(f"lengths/{name}-beside.pkl", beside)
    front = b"\x80\x04}(" + text("w") + weights() + text("x")
    add("lengths/int-of-a-million-digits.pkl", front + b"I\nu.", repeat=[[len(front) + 1, b"7".hex(), 1_000_000]])
    add("lengths/long-of-a-million-digits.pkl", front + b"LL\nu.", repeat=[[len(front) + 1, b"7".hex(), 1_000_000]])
    add("lengths/float-of-a-million-digits.pkl", front + b"F\nu.", repeat=[[len(front) + 1, b"7".hex(), 1_000_000]], expect="survives")
    add("lengths/line-of-50-mb.pkl", b"\x80\x04V\n.", repeat=[[3, b"a".hex(), 50_000_000]], expect="refused")
    add("lengths/global-of-50-mb.pkl", b"\x80\x04ca\n\n.", repeat=[[5, b"a".hex(), 50_000_000]], expect="refused")


def opcode_cases(add):
    """All 68 opcodes, each with nothing after it, and each that takes something from the stack with too little on it."""
    arguments = {
        "INT": b"1\n", "LONG": b"1L\n", "STRING": b"'a'\n", "UNICODE": b"a\n", "FLOAT": b"1.0\n", "GLOBAL": b"collections\nOrderedDict\n",
        "INST": b"collections\nOrderedDict\n", "PERSID": b"a\n", "GET": b"0\n", "PUT": b"0\n", "BININT": b"\x01\0\0\0", "BININT1": b"\x01", "BININT2": b"\x01\0",
        "LONG1": b"\x01\x01", "LONG4": b"\x01\0\0\0\x01", "BINSTRING": b"\x01\0\0\0a", "SHORT_BINSTRING": b"\x01a", "BINBYTES": b"\x01\0\0\0a",
        "SHORT_BINBYTES": b"\x01a", "BINBYTES8": b"\x01" + b"\0" * 7 + b"a", "BYTEARRAY8": b"\x01" + b"\0" * 7 + b"a", "SHORT_BINUNICODE": b"\x01a",
        "BINUNICODE": b"\x01\0\0\0a", "BINUNICODE8": b"\x01" + b"\0" * 7 + b"a", "BINFLOAT": b"\0" * 8, "BINGET": b"\0", "LONG_BINGET": b"\0" * 4,
        "BINPUT": b"\0", "LONG_BINPUT": b"\0" * 4, "EXT1": b"\x01", "EXT2": b"\x01\0", "EXT4": b"\x01\0\0\0", "PROTO": b"\x04", "FRAME": b"\x01" + b"\0" * 7,
    }  # fmt: skip
    for op in pickletools.opcodes:
        code, argument = op.code.encode("latin-1"), arguments.get(op.name, b"")
        pushes = [b"N"] * 3
        enough = b"\x80\x04" if op.name != "PROTO" else b""
        add(f"opcodes/{op.name.lower()}-cut.pkl", enough + b"(" + b"".join(pushes) + code, expect="survives" if op.name == "STOP" else "refused")
        if argument:
            add(f"opcodes/{op.name.lower()}-half.pkl", enough + code + argument[: len(argument) // 2])
        takes = [kind.name for kind in op.stack_before]
        if takes:
            add(f"opcodes/{op.name.lower()}-underflow.pkl", b"\x80\x04" + code + argument + b".")
            if "mark" in takes:
                add(f"opcodes/{op.name.lower()}-no-mark.pkl", b"\x80\x04]NNN" + code + argument + b".")
            elif len(takes) > 1:
                add(f"opcodes/{op.name.lower()}-too-few.pkl", b"\x80\x04N" + code + argument + b".")
                add(f"opcodes/{op.name.lower()}-past-mark.pkl", b"\x80\x04NN(" + code + argument + b".")
    wrong = {
        "append-to-none": b"NNa", "append-to-dict": b"}Na", "append-to-tuple": b")Na", "appends-to-none": b"N(NNe", "appends-to-dict": b"}(NNe",
        "setitem-on-list": b"]NNs", "setitem-on-none": b"NNNs", "setitems-on-list": b"](NNu", "setitems-odd": b"}(Nu", "setitems-on-none": b"N(NNu", "dict-odd": b"(NNNd",
        "additems-to-list": b"](N\x90", "additems-to-none": b"N(N\x90", "reduce-none": b"N)R", "reduce-of-text": text("os.system") + b")R", "reduce-args-list": global_("collections", "OrderedDict") + b"]R",
        "reduce-args-none": global_("collections", "OrderedDict") + b"NR", "reduce-of-number": b"K\x01)R", "newobj-of-text": text("x") + b")\x81", "newobj-args": global_("collections", "OrderedDict") + b"N\x81",
        "newobj_ex-kwargs": global_("collections", "OrderedDict") + b")N\x92", "build-on-number": b"K\x01}b", "build-on-none": b"N}b", "obj-of-none": b"(No", "obj-empty": b"(o",
        "inst-no-mark": b"icollections\nOrderedDict\n", "pop_mark-none": b"1", "stop-inside-mark": b"(.", "stop-on-mark": b"N(.", "list-key": b"}]Ns", "dict-key": b"}}Ns",
        "unhashable-in-set": b"\x8f(]\x90", "unhashable-in-frozenset": b"(}\x91", "memoize-nothing": b"\x94", "put-nothing": b"p0\n", "dup-nothing": b"2", "binpersid": b"NQ", "persid": b"Pabc\n",
        "codecs-encode-to-rot13": global_("_codecs", "encode") + b"(" + text("abc") + text("rot13") + b"tR", "codecs-encode-number": global_("_codecs", "encode") + b"(K\x01" + text("latin1") + b"tR",
        "codecs-encode-beyond": global_("_codecs", "encode") + b"(" + text("☃") + text("latin1") + b"tR", "ordereddict-of-number": global_("collections", "OrderedDict") + b"K\x05\x85R",
    }  # fmt: skip
    for name, data in wrong.items():
        add(f"opcodes/wrong-{name}.pkl", b"\x80\x04" + data + (b"" if data.endswith(b".") else b"."))
    known = {op.code.encode("latin-1") for op in pickletools.opcodes}
    unknown = [bytes([n]) for n in range(256) if bytes([n]) not in known]
    for code in unknown[::9]:
        add(f"opcodes/unknown-{code.hex()}.pkl", b"\x80\x04}(" + text("w") + weights() + text("x") + code + b"Nu.")


def array_cases(add):
    """numpy arrays that claim what is not there."""
    dtype = lambda code="f4", order="<": global_("numpy", "dtype") + b"(" + text(code) + b"K\x00K\x01tR(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    start = global_("numpy.core.multiarray", "_reconstruct") + b"(" + global_("numpy", "ndarray") + b"(K\x00tC\x01btR"
    tuple_ = lambda *dims: b"(" + b"".join(b"\x8a\x09" + d.to_bytes(9, "little", signed=True) for d in dims) + b"t"
    state = lambda shape, kind, data, order=b"\x89", version=b"K\x01": start + b"(" + version + shape + kind + order + data + b"tb"
    raw = lambda n: b"B" + u32(n) + b"\0" * n
    broken = {
        "too-few-bytes": state(tuple_(3, 4), dtype(), raw(40)), "too-many-bytes": state(tuple_(3, 4), dtype(), raw(60)), "no-bytes": state(tuple_(3, 4), dtype(), b"N"),
        "negative": state(tuple_(-1, 4), dtype(), raw(16)), "both-negative": state(tuple_(-3, -4), dtype(), raw(48)), "overflow": state(tuple_(1 << 32, 1 << 32), dtype(), raw(0)),
        "overflow-to-small": state(tuple_(1 << 62, 4), dtype(), raw(0)), "huge-empty": state(tuple_(0, 1 << 63), dtype(), raw(0)), "beyond-64-bit": state(tuple_(1 << 66), dtype(), raw(0)), "not-a-tuple": state(b"K\x05", dtype(), raw(20)),
        "shape-of-text": state(b"(" + text("3") + b"t", dtype(), raw(12)), "65-dims": state(tuple_(*[1] * 65), dtype(), raw(4)), "5000-dims": state(tuple_(*[1] * 5000), dtype(), raw(4)),
        "data-is-list": state(tuple_(2), dtype(), b"](K\x01K\x02e"), "dtype-is-text": state(tuple_(2), text("f4"), raw(8)), "dtype-unknown": state(tuple_(2), dtype("q9"), raw(8)),
        "dtype-too-wide": state(tuple_(2), dtype("f16"), raw(32)), "dtype-no-width": state(tuple_(1 << 40), dtype("V0"), raw(0)), "state-of-three": start + b"(K\x01" + tuple_(2) + dtype() + b"tb", "state-none": start + b"Nb",
        "text-beyond-latin1": state(tuple_(2), dtype(), text("☃" * 8)), "order-unknown": state(tuple_(2), dtype("f4", "?"), raw(8)), "dtype-of-number": state(tuple_(2), global_("numpy", "dtype") + b"K\x05\x85R", raw(8)),
        "scalar-short": global_("numpy.core.multiarray", "scalar") + b"(" + dtype() + raw(2) + b"tR", "scalar-no-bytes": global_("numpy.core.multiarray", "scalar") + b"(" + dtype() + b"tR",
        "frombuffer-short": global_("numpy._core.numeric", "_frombuffer") + b"(\x96" + struct.pack("<Q", 8) + b"\0" * 8 + dtype() + tuple_(3) + text("C") + b"tR",
        "frombuffer-order": global_("numpy._core.numeric", "_frombuffer") + b"(\x96" + struct.pack("<Q", 8) + b"\0" * 8 + dtype() + tuple_(2) + text("Q") + b"tR",
        "frombuffer-of-text": global_("numpy._core.numeric", "_frombuffer") + b"(" + text("abcdefgh") + dtype() + tuple_(2) + text("C") + b"tR",
    }  # fmt: skip
    for name, data in broken.items():
        harmless = name in ("order-unknown", "scalar-no-bytes")
        add(f"arrays/{name}.pkl", b"\x80\x04}" + text("w") + data + b"s.", expect="survives" if harmless else "refused")
    objects = state(tuple_(2), dtype("O8", "|"), b"](NNe")
    add("arrays/objects-alone.pkl", b"\x80\x04}" + text("w") + objects + b"s.", expect="survives")
    evil = state(tuple_(1), dtype("O8", "|"), b"](" + FORMS["reduce"]("os", "system") + b"e")
    add("arrays/objects-call.pkl", b"\x80\x04}" + text("w") + evil + b"s.", kinds=["Hostile"])
    csc = lambda indptr, indices, data, shape: global_("scipy.sparse.csc", "csc_matrix") + b")\x81}(" + text("format") + text("csc") + text("_shape") + shape + text("indptr") + indptr + text("indices") + indices + text("data") + data + b"ub"
    ints = lambda *v: state(tuple_(len(v)), dtype("i4"), b"B" + u32(4 * len(v)) + struct.pack(f"<{len(v)}i", *v))
    values = state(tuple_(2), dtype("f8"), raw(16))
    sparse = {
        "row-out-of-range": csc(ints(0, 1, 2), ints(0, 9), values, tuple_(3, 2)), "row-negative": csc(ints(0, 1, 2), ints(0, -1), values, tuple_(3, 2)),
        "pointers-fall": csc(ints(0, 2, 1), ints(0, 1), values, tuple_(3, 2)), "pointers-past-end": csc(ints(0, 1, 200), ints(0, 1), values, tuple_(3, 2)),
        "pointers-negative": csc(ints(-1, 1, 2), ints(0, 1), values, tuple_(3, 2)), "too-few-pointers": csc(ints(0, 2), ints(0, 1), values, tuple_(3, 2)),
        "shape-bomb": csc(ints(0, 1, 2), ints(0, 1), values, tuple_(1 << 40, 2)), "shape-overflow": csc(ints(0, 1, 2), ints(0, 1), values, tuple_(1 << 62, 1 << 62)),
        "fewer-indices": csc(ints(0, 1, 2), ints(0), values, tuple_(3, 2)), "shape-of-one": csc(ints(0, 1, 2), ints(0, 1), values, tuple_(3)), "shape-negative": csc(ints(0, 1, 2), ints(0, 1), values, tuple_(-3, 2)),
        "data-is-none": csc(ints(0, 1, 2), ints(0, 1), b"N", tuple_(3, 2)),
    }  # fmt: skip
    for name, data in sparse.items():
        add(f"arrays/sparse-{name}.pkl", b"\x80\x02}" + text("J") + data + b"s.")
    ch = lambda state: global_("chumpy.ch", "Ch") + b")\x81}" + state + b"b"
    select = lambda a, idxs, more=b"": global_("chumpy.reordering", "Select") + b")\x81}(" + text("a") + a + text("idxs") + idxs + more + b"ub"
    chumpy = {
        "select-out-of-range": select(values, ints(0, 5)), "select-negative": select(values, ints(0, -7)), "select-no-array": select(b"N", ints(0)),
        "select-shape": select(values, ints(0, 1), text("preferred_shape") + tuple_(5)), "ch-no-array": ch(text("x") + b"K\x05s"), "ch-empty": ch(b""),
        "ch-of-itself": global_("chumpy.ch", "Ch") + b")\x81\x94}" + text("x") + b"h\x00sb",
        "select-of-itself": global_("chumpy.reordering", "Select") + b")\x81\x94}(" + text("a") + b"h\x00" + text("idxs") + ints(0) + b"ub",
    }  # fmt: skip
    for name, data in chumpy.items():
        # A number is what chumpy may hold as well.
        survives = name == "ch-no-array"
        add(f"arrays/chumpy-{name}.pkl", b"\x80\x02}" + text("s") + data + b"s.", expect="survives" if survives else "refused")
    chain = global_("chumpy.reordering", "Select")
    deep = values
    for _ in range(3000):
        deep = chain + b")\x81}(" + text("a") + deep + text("idxs") + b"h\x00ub"
    add("arrays/chumpy-deep.pkl", b"\x80\x02" + ints(0, 1) + b"q\x000}" + text("s") + deep + b"s.")


def add_all(corpus):
    def add(name, data, expect="refused", **facts):
        corpus.add(f"pickle/{name}", data, expect="survives" if expect == "any" else expect, **facts)

    global_cases(add)
    bomb_cases(add)
    trailing_cases(add)
    length_cases(add)
    opcode_cases(add)
    array_cases(add)
