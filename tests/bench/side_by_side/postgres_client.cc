#include <fmt/format.h>
#include <libpq-fe.h>

#include <array>
#include <memory>
#include <string>

#include "tests/bench/ordered_map.h"
#include "tests/bench/side_by_side/rival_client.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

constexpr Oid kInt8 = 20;
constexpr Oid kBytea = 17;
constexpr Oid kInt8Array = 1016;
constexpr Oid kByteaArray = 1001;
constexpr int kBinary = 1;

struct Free {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, Free>;

// The binary formats of PostgreSQL are big endian.
void AppendBig(uint64_t number, int bytes, std::string* out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(number >> shift));
  }
}

std::string ArrayHead(Oid element, size_t size) {
  std::string head;
  AppendBig(1, 4, &head);  // dimensions
  AppendBig(0, 4, &head);  // no null in it
  AppendBig(element, 4, &head);
  AppendBig(size, 4, &head);
  AppendBig(1, 4, &head);  // lowest index
  return head;
}

std::string KeyArray(std::span<const uint64_t> numbers) {
  std::string keys = ArrayHead(kInt8, numbers.size());
  for (const uint64_t number : numbers) {
    AppendBig(8, 4, &keys);
    AppendBig(number, 8, &keys);
  }
  return keys;
}

std::string ValueArray(std::span<const uint64_t> numbers) {
  std::string values = ArrayHead(kBytea, numbers.size());
  for (const uint64_t number : numbers) {
    const std::string_view value = ValueOf(number);
    AppendBig(value.size(), 4, &values);
    values += value;
  }
  return values;
}

// Prepared statements with binary parameters and results; one statement per call, several items
// as arrays. Confined to one thread.
class PostgresClient : public RivalClient {
 public:
  explicit PostgresClient(const RivalAddress& address)
      : connection_(PQconnectdb(
            fmt::format("host={} port={} user=postgres dbname=postgres", address.host, address.port)
                .c_str())) {
    Require(PQstatus(connection_.get()) == CONNECTION_OK, PQerrorMessage(connection_.get()));
    Run("SET client_min_messages = warning");
  }

  void Prepare() override {
    Run("CREATE TABLE IF NOT EXISTS bench (k bigint PRIMARY KEY, v bytea NOT NULL)");
  }

  void Put(std::span<const uint64_t> numbers) override {
    PrepareStatements();
    if (numbers.size() == 1) {
      std::string key;
      AppendBig(numbers[0], 8, &key);
      Execute("put", {key, ValueOf(numbers[0])}, PGRES_COMMAND_OK);
    } else {
      Execute("put_many", {KeyArray(numbers), ValueArray(numbers)}, PGRES_COMMAND_OK);
    }
  }

  void Get(std::span<const uint64_t> numbers) override {
    PrepareStatements();
    std::string key;
    if (numbers.size() == 1) {
      AppendBig(numbers[0], 8, &key);
    } else {
      key = KeyArray(numbers);
    }
    const Result result =
        Execute(numbers.size() == 1 ? "get" : "get_many", {key, {}}, PGRES_TUPLES_OK);
    Require(PQntuples(result.get()) == static_cast<int>(numbers.size()), "items are missing");
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      Require(PQgetlength(result.get(), row, 0) == static_cast<int>(kValueBytes),
              "a value of another size");
    }
  }

 private:
  void RequireState(const Result& result, ExecStatusType state) {
    Require(PQresultStatus(result.get()) == state, PQerrorMessage(connection_.get()));
  }

  void Run(const char* statement) {
    RequireState(Result(PQexec(connection_.get(), statement)), PGRES_COMMAND_OK);
  }

  void Define(const char* name, const char* statement, std::array<Oid, 2> types, int parameters) {
    RequireState(Result(PQprepare(connection_.get(), name, statement, parameters, types.data())),
                 PGRES_COMMAND_OK);
  }

  void PrepareStatements() {
    if (prepared_) return;
    prepared_ = true;
    Define("put", "INSERT INTO bench VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
           {kInt8, kBytea}, 2);
    Define("put_many",
           "INSERT INTO bench SELECT * FROM unnest($1, $2) "
           "ON CONFLICT (k) DO UPDATE SET v = excluded.v",
           {kInt8Array, kByteaArray}, 2);
    Define("get", "SELECT v FROM bench WHERE k = $1", {kInt8, 0}, 1);
    Define("get_many", "SELECT v FROM bench WHERE k = ANY($1)", {kInt8Array, 0}, 1);
  }

  // An empty second parameter is left out.
  Result Execute(const char* name, const std::array<std::string_view, 2>& parameters,
                 ExecStatusType expected) {
    const std::array<const char*, 2> values = {parameters[0].data(), parameters[1].data()};
    const std::array<int, 2> sizes = {static_cast<int>(parameters[0].size()),
                                      static_cast<int>(parameters[1].size())};
    const std::array<int, 2> formats = {kBinary, kBinary};
    Result result(PQexecPrepared(connection_.get(), name, parameters[1].empty() ? 1 : 2,
                                 values.data(), sizes.data(), formats.data(), kBinary));
    RequireState(result, expected);
    return result;
  }

  const std::unique_ptr<PGconn, Free> connection_;
  bool prepared_ = false;
};

}  // namespace

std::unique_ptr<RivalClient> ConnectPostgres(const RivalAddress& address) {
  return std::make_unique<PostgresClient>(address);
}

}  // namespace sop::bench
