"""Objects and contents, framed: spec 20 sections 4 and 5."""

from chunks import read_content, read_object, write_content, write_object
from common import must, refused, same, unique


def check_objects(file):
    for name, case in unique(file["cases"], "cases").items():
        at = case.int("object_seq"), case["frame_duration_us"]
        fields = case["flags"], case.int("pts_us"), case.int("duration_us"), None, case.bytes("payload")
        same(write_object(*fields, *at), case.bytes("bytes"), name)
        same(read_object(case.bytes("bytes"), *at), fields, f"{name} read")
    for name, case in unique(file["contents"], "contents").items():
        if "body" in case:
            inner, kind = case.bytes("body"), 3
        elif "symbol" in case:
            inner, kind = (case["object_len"], case["repair"], case["symbol"], case.bytes("object")), 1
        else:
            inner, kind = case.bytes("object"), 0
        must(name.startswith(("object", "symbol", "", "units")[kind]), f"{name}: content of another kind")
        same(write_content(kind, case.int("object_seq"), inner), case.bytes("bytes"), name)
        same(read_content(case.bytes("bytes")), (kind, case.int("object_seq"), inner), f"{name} read")
    for name, case in unique(file["negative"], "negative").items():
        if "object_seq" in case:
            at = case.int("object_seq"), case["frame_duration_us"]
            refused(case["error"], lambda: read_object(case.bytes("bytes"), *at), name)
        else:
            refused(case["error"], lambda: read_content(case.bytes("bytes")), name)


CHECKS = {"codec/object": check_objects}
