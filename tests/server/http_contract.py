"""A contract of the tests' own, with everything that google/api/http.proto allows."""

import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from google.protobuf import (
    any_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

# What the contract imports has to be in the pool before it.
IMPORTED = (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
PROTO = Path(__file__).resolve().parents[2] / "proto"
NAME = "shelf/v1/shelf.proto"
TEXT = """
syntax = "proto3";
package shelf.v1;
import "forebay/policy/v1/method_policy.proto";
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

// Everything that a request may hold.
service ShelfService {
  // Gets one.
  rpc GetBook(GetBookRequest) returns (Book) {
    option (google.api.http) = {
      get: "/v1/{name=shelves/*/books/*}"
      additional_bindings { get: "/v1/any/{name=**}" }
    };
    option (forebay.policy.v1.method) = {any_caller: true};
  }
  // Searches.
  rpc FindBooks(Everything) returns (Page) {
    option (google.api.http) = {get: "/v1/books" response_body: "books"};
    option (forebay.policy.v1.method) = {any_caller: true};
  }
  // Sends everything.
  rpc PutEverything(Everything) returns (Everything) {
    option (google.api.http) = {put: "/v1/everything/{text}" body: "*"};
    option (forebay.policy.v1.method) = {any_caller: true};
  }
  // Changes one.
  rpc UpdateBook(UpdateBookRequest) returns (Book) {
    option (google.api.http) = {patch: "/v1/{book.name=shelves/*/books/*}" body: "book"};
    option (forebay.policy.v1.method) = {any_caller: true};
  }
  // Acts on one.
  rpc LendBook(GetBookRequest) returns (google.protobuf.Empty) {
    option (google.api.http) = {post: "/v1/{name=shelves/*/books/*}:lend" body: "*"};
    option (forebay.policy.v1.method) = {any_caller: true};
  }
  // Follows one.
  rpc ReadBook(ReadBookRequest) returns (stream Line) {
    option (google.api.http) = {get: "/v1/{name=shelves/*/books/*}:read"};
    option (forebay.policy.v1.method) = {any_caller: true};
  }
  // Follows all.
  rpc WatchShelves(google.protobuf.Empty) returns (stream ShelfState) {
    option (google.api.http) = {get: "/v1/shelves:watch"};
    option (forebay.policy.v1.method) = {any_caller: true};
  }
}
enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; COLOUR_BLUE = 2; }
message GetBookRequest { string name = 1; string lender_name = 2; }
message ReadBookRequest {
  string name = 1;
  string after_cursor = 2 [(buf.validate.field).string.max_bytes = 512];
}
message Line {
  string cursor = 1;
  oneof event { string text = 2; string title = 3; google.protobuf.Empty heartbeat = 4; }
}
message ShelfState { int64 books = 1; }
message Page { repeated Book books = 1; }
message Book {
  string name = 1 [(google.api.field_behavior) = IDENTIFIER];
  string title = 2 [(buf.validate.field).string.max_bytes = 100];
  repeated string authors = 3;
  string etag = 4;
  string state = 5 [(google.api.field_behavior) = OUTPUT_ONLY];
}
message UpdateBookRequest {
  Book book = 1;
  google.protobuf.FieldMask update_mask = 2;
  string request_id = 3;
}
message Inner { string word = 1; int32 page_count = 2; Inner inner = 3; }
message Everything {
  string text = 1;
  bool yes = 2;
  int32 small = 3;
  int64 large = 4;
  uint64 unsigned = 5;
  double real = 6;
  bytes raw = 7;
  Colour colour = 8;
  repeated string words = 9;
  repeated int64 numbers = 10;
  repeated Colour colours = 11;
  Inner inner = 12;
  repeated Inner inners = 13;
  map<string, int32> counts = 14;
  google.protobuf.Duration wait = 15;
  google.protobuf.Timestamp time = 16;
  google.protobuf.FieldMask mask = 17;
  google.protobuf.Int64Value wrapped = 18;
  google.protobuf.Struct free = 19;
  google.protobuf.Any any = 20;
  oneof choice { string left = 21; int32 right = 22; }
  optional string maybe = 23;
  repeated bytes raws = 24;
  string json_named = 25 [json_name = "otherName"];
}
"""


@cache
def contract() -> FileDescriptor:
    """The file's descriptor, in the pool that everybody uses."""
    with tempfile.TemporaryDirectory() as folder:
        source, image = Path(folder) / NAME, Path(folder) / "image"
        source.parent.mkdir(parents=True)
        source.write_text(TEXT)
        places = (folder, PROTO / "public", PROTO / "vendor", files("grpc_tools") / "_proto")
        arguments = [f"-I{place}" for place in places]
        assert protoc.main(["protoc", *arguments, f"--descriptor_set_out={image}", NAME]) == 0
        [described] = FileDescriptorSet.FromString(image.read_bytes()).file
    pool = descriptor_pool.Default()
    pool.Add(described)
    return pool.FindFileByName(NAME)
