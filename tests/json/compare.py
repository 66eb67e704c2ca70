#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares common/json with another implementation of the proto3 JSON mapping, Debian's python3-protobuf: random
messages of every type of the contract (and of one with every kind of field), written by one and read by the other,
both ways, must be equal. TAP. COUNT=messages SEED=number."""

import os
import pathlib
import random
import struct
import subprocess
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
COUNT = int(os.environ.get("COUNT", "20000"))
SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
LETTERS = 'ab Z09_"\\/\n\t\x01\x7f<>&é·王暖𠮷\u2028\U0010ffff'
rng = random.Random(SEED)


class Contract:
    """The message types of the test contract, and which of their fields never leave in JSON."""

    def __init__(self):
        files = descriptor_pb2.FileDescriptorSet.FromString((BUILD / "tests/gen/contract.binpb").read_bytes())
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)
        self.factory = message_factory.MessageFactory(self.pool)
        self.options = self.new("google.protobuf.FieldOptions")
        self.rule = self.pool.FindExtensionByName("nuanxin.rule")
        self.names = []
        for file in files.file:
            if file.package.startswith("nuanxin."):
                for message in self.pool.FindFileByName(file.name).message_types_by_name.values():
                    self.add(message)

    def add(self, message):
        if not message.GetOptions().map_entry:
            self.names.append(message.full_name)
            for nested in message.nested_types:
                self.add(nested)

    def new(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))

    def is_ours(self, field):
        """Left out here: it never leaves, is JSON as it stands, or (Any) never stands in our JSON."""
        if field.message_type and field.message_type.full_name == "google.protobuf.Any":
            return True
        rule = self.options.FromString(field.GetOptions().SerializeToString()).Extensions[self.rule]
        return rule.internal or rule.raw_json

    def max_items(self, field):
        options = self.options.FromString(field.GetOptions().SerializeToString())
        return options.Extensions[self.rule].max_items or 5


def integer(bits, signed):
    edges = [0, 1, (1 << (bits - signed)) - 1, rng.getrandbits(bits - signed), rng.getrandbits(7)]
    value = rng.choice(edges)
    return -value - rng.choice([0, 1]) * (value < (1 << (bits - 1)) - 1) if signed and rng.random() < 0.4 else value


def real(single):
    value = rng.choice([0.0, 1.0, -1.5, 0.1, 1e300, 5e-324, rng.random(), rng.uniform(-1e9, 1e9), float("inf"),
                        float("-inf"), float("nan")])
    if single:
        value = struct.unpack("f", struct.pack("f", value if abs(value) < 3e38 or value != value else 1.0))[0]
    return value


def text():
    return "".join(rng.choice(LETTERS) for _ in range(rng.choice([0, 1, 3, 12])))


def scalar(field):
    kinds = {field.TYPE_DOUBLE: lambda: real(False), field.TYPE_FLOAT: lambda: real(True),
             field.TYPE_BOOL: lambda: rng.random() < 0.5, field.TYPE_STRING: text,
             field.TYPE_BYTES: lambda: rng.randbytes(rng.choice([0, 1, 2, 3, 20])),
             field.TYPE_ENUM: lambda: rng.choice(field.enum_type.values).number if field.enum_type else 0}
    for name, bits, signed in [("INT32", 32, 1), ("SINT32", 32, 1), ("SFIXED32", 32, 1), ("UINT32", 32, 0),
                               ("FIXED32", 32, 0), ("INT64", 64, 1), ("SINT64", 64, 1), ("SFIXED64", 64, 1),
                               ("UINT64", 64, 0), ("FIXED64", 64, 0)]:
        kinds[getattr(field, "TYPE_" + name)] = lambda b=bits, s=signed: integer(b, s)
    return kinds[field.type]()


def fill_known(message, name):
    """The well-known types have a meaning that random numbers would break."""
    if name == "google.protobuf.Timestamp":
        message.seconds = rng.choice([-62135596800, 253402300799, 0, rng.randrange(-62135596800, 253402300799)])
        message.nanos = rng.choice([0, 500000000, 1000, 999999999])
    elif name == "google.protobuf.Duration":
        sign = rng.choice([-1, 1])
        message.seconds = sign * rng.choice([0, 1, 315576000000, rng.randrange(1 << 30)])
        message.nanos = sign * rng.choice([0, 500000000, 1000, 1]) if abs(message.seconds) < 315576000000 else 0
    elif name == "google.protobuf.FieldMask":
        message.paths.extend(rng.choice(["name", "member_id", "a.b_c", "x1.y"]) for _ in range(rng.randrange(3)))


def fill(contract, message, depth=0):
    if message.DESCRIPTOR.full_name.startswith("google.protobuf."):
        fill_known(message, message.DESCRIPTOR.full_name)
        return
    for field in message.DESCRIPTOR.fields:
        if contract.is_ours(field) or rng.random() < 0.35 or depth > 6:
            continue
        value = getattr(message, field.name)
        if field.message_type and field.message_type.GetOptions().map_entry:
            key, item = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            for _ in range(min(rng.randrange(4), contract.max_items(field))):
                if item.message_type:
                    fill(contract, value[scalar(key)], depth + 1)
                else:
                    value[scalar(key)] = scalar(item)
        elif field.label == field.LABEL_REPEATED:
            for _ in range(min(rng.randrange(4), contract.max_items(field))):
                if field.message_type:
                    fill(contract, value.add(), depth + 1)
                else:
                    value.append(scalar(field))
        elif field.message_type:
            value.SetInParent()
            fill(contract, value, depth + 1)
        else:
            setattr(message, field.name, scalar(field))


class Helper:
    def __init__(self):
        self.process = subprocess.Popen([BUILD / "tests/json/roundtrip"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, verb, name, what):
        self.process.stdin.write(f"{verb} {name} {what}\n".encode())
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().rstrip("\n")


def canonical(message):
    """Bytes that are equal for equal messages; NaN equals NaN."""
    return message.SerializeToString(deterministic=True)


def compare(contract, helper, name):
    """What differs, or None."""
    message = contract.new(name)()
    fill(contract, message)
    want = canonical(message)
    ours = helper.ask("TO", name, want.hex())
    if ours.startswith("ERROR"):
        return f"we do not write {json_format.MessageToJson(message, indent=None)}: {ours}"
    theirs = json_format.Parse(ours, contract.new(name)(), descriptor_pool=contract.pool)
    if canonical(theirs) != want:
        return f"python reads {ours} as {json_format.MessageToJson(theirs, indent=None)}"
    for options in ({}, {"preserving_proto_field_name": True}, {"including_default_value_fields": False,
                                                                "use_integers_for_enums": True}):
        text_ = json_format.MessageToJson(message, indent=None, ensure_ascii=rng.random() < 0.5, **options)
        back = helper.ask("FROM", name, text_)
        if back.startswith("ERROR"):
            return f"we do not read {text_}: {back}"
        if canonical(contract.new(name).FromString(bytes.fromhex(back))) != want:
            return f"we read {text_} as {helper.ask('TO', name, back)}"
    return None


def main():
    contract, helper, failed = Contract(), Helper(), 0
    print(f"# seed {SEED}")
    for number, name in enumerate(contract.names, 1):
        share = COUNT // 4 if name.endswith(".Everything") else max(1, COUNT * 3 // 4 // len(contract.names))
        wrong = next((w for w in (compare(contract, helper, name) for _ in range(share)) if w), None)
        failed += wrong is not None
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}: {share} messages both ways")
        if wrong:
            print("#", wrong)
    print(f"1..{len(contract.names)}")
    return 1 if failed else 0


sys.exit(main())
