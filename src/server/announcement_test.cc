#include "server/announcement.h"

#include <gtest/gtest.h>

namespace gantry::server {
namespace {

TEST(AnnouncementTest, HasEverythingANewcomerNeeds) {
  const std::string text = format_announcement({.url = "http://localhost:9490",
                                                .instance_id = StackId(1'000'000),
                                                .admin_user = "admin",
                                                .admin_password = "secret-password",
                                                .write_token = "glc_w",
                                                .read_token = "glc_r",
                                                .admin_token = "glc_a"},
                                               "/data/first-start.json");
  for (const std::string_view part :
       {"http://localhost:9490", "first login", "admin / secret-password", "glc_w", "glc_r",
        "glc_a", "/data/first-start.json", "basicAuthUser: '1000000'", "basicAuthPassword: glc_r",
        "-u '1000000:glc_w'", "type: prometheus", "type: tempo", "/tempo/api/search"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
  EXPECT_EQ(text.find_first_of("{}"), std::string::npos) << "every placeholder is filled";
}

}  // namespace
}  // namespace gantry::server
