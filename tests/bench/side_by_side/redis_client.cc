#include <hiredis/hiredis.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/ordered_map.h"
#include "tests/bench/side_by_side/rival_client.h"
#include "tests/bench/workload.h"

namespace sop::bench {
namespace {

struct Free {
  void operator()(redisContext* connection) const { redisFree(connection); }
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, Free>;

// SET and GET, or MSET (atomic) and MGET. Confined to one thread.
class RedisClient : public RivalClient {
 public:
  explicit RedisClient(const RivalAddress& address)
      : connection_(redisConnect(address.host.c_str(), address.port)) {
    Require(connection_ != nullptr && connection_->err == 0, "cannot connect to Redis");
  }

  void Put(std::span<const uint64_t> numbers) override {
    Begin(numbers.size() == 1 ? "SET" : "MSET");
    for (const uint64_t number : numbers) {
      Add(KeyOf(number));
      Add(std::string(ValueOf(number)));
    }
    Require(Call()->type == REDIS_REPLY_STATUS, "a write was refused");
  }

  void Get(std::span<const uint64_t> numbers) override {
    Begin(numbers.size() == 1 ? "GET" : "MGET");
    for (const uint64_t number : numbers) Add(KeyOf(number));
    const Reply reply = Call();
    if (numbers.size() == 1) {
      Require(reply->len == kValueBytes, "an item is missing");
      return;
    }
    Require(reply->elements == numbers.size(), "items are missing");
    for (size_t i = 0; i < reply->elements; ++i) {
      Require(reply->element[i]->len == kValueBytes, "an item is missing");
    }
  }

 private:
  void Begin(const char* command) { words_.assign(1, command); }
  void Add(std::string word) { words_.push_back(std::move(word)); }

  Reply Call() {
    std::vector<const char*> bytes;
    std::vector<size_t> sizes;
    for (const std::string& word : words_) {
      bytes.push_back(word.data());
      sizes.push_back(word.size());
    }
    Reply reply(static_cast<redisReply*>(redisCommandArgv(
        connection_.get(), static_cast<int>(words_.size()), bytes.data(), sizes.data())));
    Require(reply != nullptr, "Redis hung up");
    Require(reply->type != REDIS_REPLY_ERROR, std::string_view(reply->str, reply->len));
    return reply;
  }

  const std::unique_ptr<redisContext, Free> connection_;
  std::vector<std::string> words_;
};

}  // namespace

std::unique_ptr<RivalClient> ConnectRedis(const RivalAddress& address) {
  return std::make_unique<RedisClient>(address);
}

}  // namespace sop::bench
